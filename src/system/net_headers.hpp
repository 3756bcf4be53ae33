// system/net_headers.hpp - the operating system's headers for sockets, under the names that POSIX has.
//
// For src/ alone: no public header includes one of the operating system's.
#pragma once

#if defined(_WIN32)

// clang-format off: winsock2.h must come before windows.h, which would bring its predecessor.
#include <winsock2.h>
#include <ws2tcpip.h>
#include <afunix.h>
#include <iphlpapi.h>
// clang-format on

inline constexpr int SHUT_RD = SD_RECEIVE;
inline constexpr int SHUT_WR = SD_SEND;
inline constexpr int SHUT_RDWR = SD_BOTH;
/// Windows lets no sockets share a port; asking for it is WSAENOPROTOOPT.
inline constexpr int SO_REUSEPORT = 0x0200;

#else

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#endif
