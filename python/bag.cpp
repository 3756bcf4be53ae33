#include "bag.hpp"

#include <cmath>

#include <fcntl.h>
#include <sys/stat.h>

namespace bagselectors {
namespace {

constexpr long event_read = 1;
constexpr long event_write = 2;

sel::event interest_of(long events) noexcept {
    return (events & event_read ? sel::event::read : sel::event::none) |
           (events & event_write ? sel::event::write : sel::event::none);
}

/// Whoever changes the bag, maybe while another thread waits in it: that one applies the change at once.
class guest {
  public:
    explicit guest(std::shared_ptr<insides> in) : in_{std::move(in)}, knocked_{in_->gate.knock()} {
        if (!knocked_) return;
        in_->mechanism->wake();
        const unlocked others;
        in_->gate.until_open();
    }
    guest(const guest&) = delete;
    guest& operator=(const guest&) = delete;
    ~guest() {
        if (knocked_) in_->gate.leave();
    }

  private:
    std::shared_ptr<insides> in_;
    bool knocked_;
};

void require_open(const Bag* self) {
    if (!self->in) raise(PyExc_ValueError, "I/O operation on closed selector");
}

/// The key of a descriptor; null if there is none.
PyObject* key_of(const Bag* self, int descriptor) {
    const object number{PyLong_FromLong(descriptor)};
    PyObject* const found = PyDict_GetItemWithError(self->keys, number.get());
    if (!found && PyErr_Occurred()) throw raised{};
    return found;
}

}  // namespace

int registered_number(const Bag* self, PyObject* fileobj) {
    try {
        return descriptor_of(fileobj);
    } catch (const raised&) {
        if (!self->keys || !PyErr_ExceptionMatches(PyExc_ValueError)) throw;
        Py_ssize_t at = 0;
        PyObject *number, *key;
        while (PyDict_Next(self->keys, &at, &number, &key))
            if (fileobj_in(key) == fileobj) {
                PyErr_Clear();
                return descriptor_in(key);
            }
        throw;
    }
}

namespace {

/// The key; KeyError if there is none.
PyObject* required_key(const Bag* self, PyObject* fileobj) {
    const int descriptor = registered_number(self, fileobj);
    PyObject* const found = self->keys ? key_of(self, descriptor) : nullptr;
    if (!found) raise(PyExc_KeyError, "%R is not registered", fileobj);
    return found;
}

/// Whether the kernel can wait for it, so that it may be told later. Of the rest it knows only itself.
bool can_be_waited_for(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) < 0) throw std::system_error(errno, std::system_category(), "fstat");
    return S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode);
}

/// What is never waited for costs the kernel nothing: it is told of a socket with the next select.
void enroll(insides& in, int descriptor, long events, const object& key) {
    const sel::event interest = interest_of(events);
    sel::selector<entry>& bag = in.bag;
    const bool later = !in.watched && can_be_waited_for(descriptor);
    bag.add(descriptor, later ? sel::event::none : interest, entry{object::borrowed(key.get()), {}});
    if (later) bag.modify(descriptor, interest);
}

/// What the bag has deferred: now, unless a select is under way, which does.
void tell_the_kernel(insides& in) {
    if (!in.selecting) (void)in.bag.select(nanoseconds::zero());
}

/// Takes a key out of both. Returns it.
object take_out(Bag* self, PyObject* known) {
    object key = object::borrowed(known);
    const int descriptor = descriptor_in(key.get());
    if (self->in->bag.contains(descriptor)) self->in->bag.remove(descriptor);
    if (PyDict_DelItem(self->keys, number_in(key.get())) < 0) PyErr_Clear();
    return key;
}

}  // namespace

object add(Bag* self, PyObject* fileobj, PyObject* wanted, PyObject* data) {
    int overflow = 0;
    const long events = PyLong_AsLongAndOverflow(wanted, &overflow);
    if (events == -1 && PyErr_Occurred()) throw raised{};
    if (overflow || events <= 0 || events > (event_read | event_write))
        raise(PyExc_ValueError, "Invalid events: %R", wanted);
    const int descriptor = descriptor_of(fileobj);
    require_open(self);
    const object number{PyLong_FromLong(descriptor)};
    const auto taken = [&] {
        const int found = PyDict_Contains(self->keys, number.get());
        check(found);
        if (found) raise(PyExc_KeyError, "%R (FD %d) is already registered", fileobj, descriptor);
    };
    taken();
    object key = make_key(fileobj, number.get(), wanted, data);
    const guest in{self->in};
    require_open(self);  // another thread may have been quicker
    taken();
    enroll(*self->in, descriptor, events, key);
    if (PyDict_SetItem(self->keys, number.get(), key.get()) < 0) {
        self->in->bag.remove(descriptor);
        throw raised{};
    }
    return key;
}

object remove(Bag* self, PyObject* fileobj) {
    required_key(self, fileobj);
    const guest in{self->in};
    return take_out(self, required_key(self, fileobj));
}

object modify(Bag* self, PyObject* fileobj, PyObject* wanted, PyObject* data) {
    const object before = object::borrowed(required_key(self, fileobj));
    const int other_events = PyObject_RichCompareBool(wanted, events_in(before.get()), Py_NE);
    check(other_events);
    const long events = other_events ? PyLong_AsLong(wanted) : 0;
    if (events == -1 && PyErr_Occurred()) throw raised{};
    const object old_data = object::borrowed(data_in(before.get()));
    const int other_data = PyObject_RichCompareBool(data, old_data.get(), Py_NE);
    check(other_data);
    if (!other_events && !other_data) return object::borrowed(before.get());

    object key = make_key(fileobj_in(before.get()), number_in(before.get()), wanted, data);
    require_open(self);
    const guest in{self->in};
    require_open(self);
    const int descriptor = descriptor_in(key.get());
    if (key_of(self, descriptor) != before.get())  // what was compared may have run anything
        raise(PyExc_RuntimeError, "the key of descriptor %d changed while it was being modified",
              descriptor);
    if (other_events) {
        // The bag tells the kernel with the next select: whether it still can is to be known now.
        if (fcntl(descriptor, F_GETFD) < 0) {
            const std::system_error closed{errno, std::system_category(), "epoll_ctl"};
            take_out(self, before.get());
            throw closed;
        }
        self->in->bag.modify(descriptor, interest_of(events));
        if (self->in->watched) tell_the_kernel(*self->in);
    }
    check(PyDict_SetItem(self->keys, number_in(key.get()), key.get()));
    entry& known = self->in->bag.get(descriptor).data;
    known.key = object::borrowed(key.get());
    known.pair = object{};
    return key;
}

namespace {

/// Zero or less: does not wait. None: for ever.
nanoseconds timeout_of(PyObject* timeout) {
    if (timeout == Py_None) return nanoseconds{-1};
    const double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred()) throw raised{};
    if (std::isnan(seconds)) raise(PyExc_ValueError, "cannot convert float NaN to integer");
    if (seconds <= 0) return nanoseconds::zero();
    if (seconds * 1e3 > INT_MAX) raise(PyExc_OverflowError, "timeout is too large");
    return nanoseconds{static_cast<std::int64_t>(std::ceil(seconds * 1e9))};
}

/// The kernel refused, when it was told of a socket: that is no event but an error, and the end of the key.
void refused(Bag* self, const object& known) {
    take_out(self, known.get());
    self->in->bag.add(descriptor_in(known.get()), interest_of(PyLong_AsLong(events_in(known.get()))),
                      entry{object::borrowed(known.get()), {}});  // says why
    check(PyDict_SetItem(self->keys, number_in(known.get()), known.get()));
}

/// (key, events), without a new one if the last one was given back: a list of many is mostly those.
object pair_of(entry& of, long events) {
    if (of.told != events || !of.pair.get() || Py_REFCNT(of.pair.get()) != 1) {
        const object number{PyLong_FromLong(events)};
        of.pair = object{PyTuple_Pack(2, of.key.get(), number.get())};
        of.told = events;
    }
    return object::borrowed(of.pair.get());
}

/// Appends (key, events) of everything one select of the bag tells. False if some of that was told before.
bool tell(Bag* self, insides& in, PyObject* list, nanoseconds timeout) {
    const auto append = [&](auto&& ready) {
        bool all_new = true;
        for (auto [key, events] : ready) {
            if (in.closed) return false;  // by a signal handler, another thread, or what was collected
            if (std::exchange(key.data.round, in.round) == in.round) {
                all_new = false;
                continue;
            }
            if (events & sel::event::error && !in.bag.interest(key)) {
                refused(self, object::borrowed(key.data.key.get()));
                continue;
            }
            const long found = (events & sel::event::read ? event_read : 0) |
                               (events & sel::event::write ? event_write : 0);
            check(PyList_Append(list, pair_of(key.data, found).get()));
        }
        return all_new;
    };
    return timeout < nanoseconds::zero() ? append(in.bag.select()) : append(in.bag.select(timeout));
}

}  // namespace

object select(Bag* self, PyObject* timeout) {
    nanoseconds patience = timeout_of(timeout);
    require_open(self);
    const std::shared_ptr<insides> kept = self->in;
    insides& in = *kept;
    if (in.selecting == process) raise(PyExc_RuntimeError, "concurrent select() of one selector");
    object list{PyList_New(0)};
    struct selection {
        explicit selection(insides& of) : in{of} { in.selecting = process; }
        ~selection() { in.selecting = 0; }
        insides& in;
    } const selection{in};
    ++in.round;
    constexpr Py_ssize_t batch =
        decltype(in.bag)::batch_size;  // what did not fit comes first next time
    Py_ssize_t before = 0;
    while (tell(self, in, list.get(), patience) && PyList_GET_SIZE(list.get()) - before == batch) {
        before = PyList_GET_SIZE(list.get());
        patience = nanoseconds::zero();
    }
    return list;
}

int own_descriptor(Bag* self) {
    require_open(self);
    const guest in{self->in};
    require_open(self);
    const sel::native_handle descriptor = self->in->bag.backend().descriptor();
    if (descriptor == sel::invalid_handle)
        raise(PyExc_ValueError, "%s has no descriptor", self->in->bag.backend().name());
    if (!std::exchange(self->in->watched, true)) tell_the_kernel(*self->in);
    return descriptor;
}

object get_key(const Bag* self, PyObject* fileobj) {
    if (!self->keys) raise(PyExc_RuntimeError, "Selector is closed");
    return object::borrowed(required_key(self, fileobj));
}

void close(Bag* self) {
    const std::shared_ptr<insides> in = std::exchange(self->in, nullptr);
    Py_CLEAR(self->keys);
    if (!in) return;
    in->closed = true;
    if (in->selecting) in->bag.wake();
}

const char* backend_name(const Bag* self) {
    require_open(self);
    return self->in->bag.backend().name();
}

}  // namespace bagselectors
