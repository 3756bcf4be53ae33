// What may run anything: a call of fileno(), a comparison, the text of an object, the making of a tuple or a list (which
// may collect garbage), and the end of any object. None of that happens within a guest, and after it nothing is as it was:
// the selector may be closed and any key gone.
#include "bag.hpp"

#include <cmath>

namespace bagselectors {
namespace {

constexpr long event_read = 1;
constexpr long event_write = 2;

/// For which events a key is; what else is in the number nobody hears of.
sel::event interest_in(PyObject* key) noexcept {
    const unsigned long events = PyLong_AsUnsignedLongMask(events_in(key));
    return (events & event_read ? sel::event::read : sel::event::none) |
           (events & event_write ? sel::event::write : sel::event::none);
}

void require_open(const Bag* self) {
    if (!self->in) raise(PyExc_ValueError, "I/O operation on closed selector");
}

/// Whoever changes the bag, maybe while another thread waits in it: that one applies the change at once.
class guest {
  public:
    explicit guest(const Bag* self) : in_{(require_open(self), self->in)}, knocked_{in_->gate.knock()} {
        if (!knocked_) return;
        in_->mechanism->wake();
        {
            const unlocked others;
            in_->gate.until_open();
        }
        if (self->in) return;  // another thread may have closed it
        in_->gate.leave();
        require_open(self);
    }
    guest(const guest&) = delete;
    guest& operator=(const guest&) = delete;
    ~guest() {
        if (knocked_) in_->gate.leave();
    }
    insides* operator->() const noexcept { return in_.get(); }
    insides& operator*() const noexcept { return *in_; }

  private:
    std::shared_ptr<insides> in_;
    bool knocked_;
};

/// The key of a number; null if there is none.
PyObject* key_of(const Bag* self, PyObject* number) {
    PyObject* const found = self->keys ? PyDict_GetItemWithError(self->keys, number) : nullptr;
    if (!found && PyErr_Occurred()) throw raised{};
    return found;
}

[[noreturn]] void raise_not_registered(PyObject* fileobj) {
    raise(PyExc_KeyError, "%R is not registered", fileobj);
}

/// The key; KeyError if there is none.
object required_key(const Bag* self, PyObject* fileobj) {
    try {
        const object number = registered_number(self, fileobj);
        if (PyObject* const found = key_of(self, number.get())) return object::borrowed(found);
    } catch (const raised&) {
        if (!PyErr_ExceptionMatches(PyExc_KeyError)) throw;
        PyErr_Clear();
    }
    raise_not_registered(fileobj);
}

/// Takes a key out of both. Its end is the caller's, who still has it.
void take_out(const Bag* self, insides& in, PyObject* key, entry& taken) {
    const int descriptor = descriptor_in(key);
    taken = std::move(in.bag.get(descriptor).data);
    in.bag.remove(descriptor);
    check(PyDict_DelItem(self->keys, number_in(key)));
}

/// A socket that has just been seen to be open: the kernel need not be asked again.
struct open_socket : sel::socket {
    using sel::socket::socket;
    ~open_socket() { (void)release(); }
};

/// What is never waited for costs the kernel nothing: it is told of a socket with the next select, if that is still
/// there. Not where somebody waits already.
void enroll(insides& in, int descriptor, const object& key) {
    const file is = file::of(descriptor);
    entry fresh{.key = object::borrowed(key.get()), .is = is};
    if (in.watched || in.is_selecting() || !is.is_socket_or_pipe()) {
        in.bag.add(descriptor, interest_in(key.get()), std::move(fresh));
        return;
    }
    fresh.untold = true;
    in.bag.add(open_socket{descriptor}, sel::event::none, std::move(fresh));
    in.untold.push_back(descriptor);
    if (in.untold.size() <= 64 + 2 * in.bag.size()) return;
    in.untold.clear();  // most have gone again
    for (const auto& each : in.bag.keys())
        if (each.data.untold) in.untold.push_back(each.descriptor());
}

/// Tells of one that was parked until now. What was closed meanwhile stays parked, whoever has its number now.
void tell_of(const Bag* self, insides& in, int descriptor) {
    if (!in.bag.contains(descriptor)) return;
    entry taken;  // ends last
    const sel::key<entry> parked = in.bag.get(descriptor);
    if (!std::exchange(parked.data.untold, false)) return;
    if (!parked.data.is.is_behind(descriptor)) return;
    taken = std::move(parked.data);
    in.bag.remove(parked);
    try {
        in.bag.add(open_socket{descriptor}, interest_in(taken.key.get()), std::move(taken));
    } catch (const std::system_error&) {
        check(PyDict_DelItem(self->keys, number_in(taken.key.get())));
        throw;
    }
}

void tell_of_new_ones(const Bag* self, insides& in) {
    while (!in.closed && !in.untold.empty()) {
        const int descriptor = in.untold.front();
        in.untold.pop_front();
        tell_of(self, in, descriptor);
    }
}

/// As Python's `!=` has it.
bool differ(PyObject* one, PyObject* other) {
    const object kept = object::borrowed(other);
    const object answer{PyObject_RichCompare(one, other, Py_NE)};
    const int is_true = PyObject_IsTrue(answer.get());
    check(is_true);
    return is_true != 0;
}

}  // namespace

object registered_number(const Bag* self, PyObject* fileobj) {
    try {
        return number_of(fileobj);
    } catch (const raised&) {
        if (!self->keys || !PyErr_ExceptionMatches(PyExc_ValueError)) throw;
        Py_ssize_t at = 0;
        PyObject *number, *key;
        while (PyDict_Next(self->keys, &at, &number, &key))
            if (fileobj_in(key) == fileobj) {
                object found = object::borrowed(number);
                PyErr_Clear();
                return found;
            }
        throw;
    }
}

// --- register ------------------------------------------------------------------------------------

namespace {

/// False if the number is taken.
bool add_new(const Bag* self, int descriptor, const object& key) {
    const guest in{self};
    if (key_of(self, number_in(key.get()))) return false;
    enroll(*in, descriptor, key);
    if (PyDict_SetItem(self->keys, number_in(key.get()), key.get()) == 0) return true;
    in->bag.remove(descriptor);
    throw raised{};
}

}  // namespace

object add(Bag* self, PyObject* fileobj, PyObject* wanted, PyObject* data) {
    const int any = PyObject_IsTrue(wanted);
    check(any);
    if (any && !PyLong_Check(wanted))
        raise(PyExc_TypeError, "events are an int, not %s", Py_TYPE(wanted)->tp_name);
    int overflow = 0;
    const long events = any ? PyLong_AsLongAndOverflow(wanted, &overflow) : 0;
    if (overflow || events <= 0 || events > (event_read | event_write))
        raise(PyExc_ValueError, "Invalid events: %R", wanted);
    const object number = number_of(fileobj);
    require_open(self);
    const auto raise_taken = [&] {
        raise(PyExc_KeyError, "%R (FD %S) is already registered", fileobj, number.get());
    };
    if (key_of(self, number.get())) raise_taken();
    const int descriptor = descriptor_of(number.get());
    object key = make_key(fileobj, number.get(), wanted, data);
    if (!add_new(self, descriptor, key)) raise_taken();  // another thread was quicker
    return key;
}

// --- unregister ----------------------------------------------------------------------------------

object remove(Bag* self, PyObject* fileobj) {
    const object known = required_key(self, fileobj);
    entry taken;
    {
        const guest in{self};
        if (PyObject* const key = key_of(self, number_in(known.get()))) take_out(self, *in, key, taken);
    }
    if (!taken.key.get()) raise_not_registered(fileobj);
    return std::move(taken.key);
}

namespace {

/// What is deferred is told now, unless a select is under way, which does.
void tell_the_kernel(Bag* self) {
    if (self->in->is_selecting()) return;
    const object zero{PyLong_FromLong(0)};
    (void)select(self, zero.get());
}

}  // namespace

// --- modify --------------------------------------------------------------------------------------

namespace {

/// False if the object is not registered any more. `before` is what was in the key's place, or all that was there.
bool replace(const Bag* self, const object& key, entry& before) {
    const guest in{self};
    PyObject* const now = key_of(self, number_in(key.get()));
    if (!now || fileobj_in(now) != fileobj_in(key.get())) return false;
    const int descriptor = descriptor_in(now);
    const sel::key<entry> at = in->bag.get(descriptor);
    if (interest_in(now) != interest_in(key.get())) {
        // The bag tells the kernel with the next select: whether it can is to be known now.
        if (!at.data.is.is_behind(descriptor)) {
            take_out(self, *in, now, before);
            (void)file::of(descriptor);  // says so if it is closed
            throw std::system_error(ENOENT, std::system_category(), "epoll_ctl");
        }
        if (!at.data.untold) in->bag.modify(at, interest_in(key.get()));
    }
    before.key = object::borrowed(now);
    before.pair = std::move(at.data.pair);
    check(PyDict_SetItem(self->keys, number_in(now), key.get()));
    at.data.key = object::borrowed(key.get());
    return true;
}

}  // namespace

object modify(Bag* self, PyObject* fileobj, PyObject* wanted, PyObject* data) {
    object before = required_key(self, fileobj);
    const bool other_events = differ(wanted, events_in(before.get()));
    if (!other_events && !differ(data, data_in(before.get()))) return before;
    if (!PyLong_Check(wanted))
        raise(PyExc_TypeError, "events are an int, not %s", Py_TYPE(wanted)->tp_name);
    object key = make_key(fileobj_in(before.get()), number_in(before.get()), wanted, data);
    entry last;
    if (!replace(self, key, last)) raise_not_registered(fileobj);
    if (self->in && self->in->watched) tell_the_kernel(self);
    return key;
}

// --- select --------------------------------------------------------------------------------------

namespace {

/// Zero or less: does not wait. None: for ever.
nanoseconds timeout_of(PyObject* timeout) {
    if (timeout == Py_None) return nanoseconds{-1};
    if (!PyFloat_CheckExact(timeout)) {
        const object zero{PyLong_FromLong(0)};
        const int passed = PyObject_RichCompareBool(timeout, zero.get(), Py_LE);
        check(passed);
        if (passed) return nanoseconds::zero();
    }
    const double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred()) throw raised{};
    if (std::isnan(seconds)) raise(PyExc_ValueError, "cannot convert float NaN to integer");
    if (seconds <= 0) return nanoseconds::zero();
    if (seconds * 1e3 > INT_MAX) raise(PyExc_OverflowError, "timeout is too large");
    return nanoseconds{static_cast<std::int64_t>(std::ceil(seconds * 1e9))};
}

/// (key, events), without a new one if the last one was given back: a list of many is mostly those.
object pair_of(insides& in, const sel::key<entry>& ready, long events) {
    entry& of = ready.data;
    if (of.told == events && of.pair.get() && Py_REFCNT(of.pair.get()) == 1)
        return object::borrowed(of.pair.get());
    const object key = object::borrowed(of.key.get());
    const object number{PyLong_FromLong(events)};
    object pair{PyTuple_Pack(2, key.get(), number.get())};
    if (in.bag.contains(ready)) {
        const object last = std::exchange(of.pair, object::borrowed(pair.get()));
        of.told = events;
    }
    return pair;
}

/// Appends (key, events) of everything one select of the bag tells. False if some of that was told before.
bool tell(insides& in, PyObject* list, nanoseconds timeout) {
    const auto append = [&](auto&& ready) {
        bool all_new = true;
        for (auto [key, events] : ready) {
            if (in.closed) return false;  // by a signal handler, another thread, or what was collected
            if (std::exchange(key.data.round, in.round) == in.round) {
                all_new = false;
                continue;
            }
            if (events & sel::event::error && !in.bag.interest(key))
                continue;  // closed before it was told
            const long found = (events & sel::event::read ? event_read : 0) |
                               (events & sel::event::write ? event_write : 0);
            check(PyList_Append(list, pair_of(in, key, found).get()));
        }
        return all_new;
    };
    return timeout < nanoseconds::zero() ? append(in.bag.select()) : append(in.bag.select(timeout));
}

}  // namespace

object select(Bag* self, PyObject* timeout) {
    nanoseconds patience = timeout_of(timeout);
    object list{PyList_New(0)};
    require_open(self);
    const std::shared_ptr<insides> kept = self->in;
    insides& in = *kept;
    if (in.is_selecting()) raise(PyExc_RuntimeError, "concurrent select() of one selector");
    struct selection {
        explicit selection(insides& of) : in{of} { in.selecting = process; }
        ~selection() { in.selecting = 0; }
        insides& in;
    } const selection{in};
    tell_of_new_ones(self, in);
    ++in.round;
    constexpr Py_ssize_t batch =
        decltype(in.bag)::batch_size;  // what did not fit comes first next time
    Py_ssize_t before = 0;
    while (tell(in, list.get(), patience) && PyList_GET_SIZE(list.get()) - before == batch) {
        before = PyList_GET_SIZE(list.get());
        patience = nanoseconds::zero();
    }
    return list;
}

// --- the rest ------------------------------------------------------------------------------------

object get_key(const Bag* self, PyObject* fileobj) {
    if (!self->keys) raise(PyExc_RuntimeError, "Selector is closed");
    return required_key(self, fileobj);
}

int own_descriptor(Bag* self) {
    require_open(self);
    self->in->watched = true;
    tell_the_kernel(self);  // a child has its own set from now on
    const guest in{self};
    const sel::native_handle descriptor = in->bag.descriptor();
    if (descriptor == sel::invalid_handle)
        raise(PyExc_ValueError, "%s has no descriptor", in->bag.backend().name());
    return descriptor;
}

const char* backend_name(const Bag* self) {
    require_open(self);
    return self->in->bag.backend().name();
}

void close(Bag* self) {
    const std::shared_ptr<insides> in = std::exchange(self->in, nullptr);
    if (in) {
        in->closed = true;
        if (in->is_selecting()) in->bag.wake();
    }
    Py_CLEAR(self->keys);
}

}  // namespace bagselectors
