// doubles/sys/event.h - a test double of kqueue(2) and kevent(2), for Linux.
//
// Linux has no kqueue. So that src/backend/kqueue.cpp, the very source that macOS and the BSDs compile, is
// compiled and run by everybody's tests, this header stands in the place of theirs, and kevent.cpp does
// what their manual pages say: FreeBSD's kqueue(2) and macOS's kqueue(2), word by word and quirks
// included; where a page is silent, what the kernels of both do (kern_event.c, uipc_socket.c, sys_pipe.c).
// Names and numbers are macOS's, which has a filter for priority data.
//
// It is no kernel: kevent.cpp says at its beginning where it is weaker.
#pragma once

#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    int16_t filter;
    uint16_t flags;
    uint32_t fflags;
    intptr_t data;
    void* udata;
};

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_EXCEPT (-15)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

#define NOTE_OOB 0x00000002

extern "C" {
int kqueue(void);
int kevent(int queue, const struct kevent* changelist, int nchanges, struct kevent* eventlist,
           int nevents, const struct timespec* timeout);
}
