// The extension module _bag: one type, Bag, that fulfils the contract of Python's `selectors` on a bag.
#include <climits>
#include <cmath>
#include <memory>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include <selectors/selector.hpp>

#include "object.hpp"
#include "port.hpp"

namespace {

using namespace bagselectors;

/// What is attached to each descriptor.
struct entry {
    object key;          ///< its SelectorKey, which the dictionary has as well
    object pair;         ///< (key, events) as it was last told: told again if nobody has kept it
    long told = 0;       ///< the events in there
    unsigned round = 0;  ///< of the select that told it last
};

struct insides {
    explicit insides(sel::backend_handle opened)
        : mechanism{new port{std::move(opened), gate}}, bag{sel::backend_handle{mechanism}} {}
    turnstile gate;
    port* mechanism;  ///< the bag's
    sel::selector<entry> bag;
    unsigned round = 0;
    unsigned selecting = 0;  ///< the process in which it is
    bool watched = false;    ///< somebody waits for the mechanism's own descriptor: it is told at once
    bool closed = false;     ///< perhaps while selecting
};

struct Bag {
    PyObject_HEAD PyObject*
        keys;  ///< {descriptor: SelectorKey}; null if it is closed, or was never made
    std::shared_ptr<insides> in;  ///< null likewise; whoever is in there keeps it until he has left
};

PyObject* selector_key = nullptr;  ///< the class selectors.SelectorKey
PyObject* fileno_name = nullptr;

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

/// The number of a descriptor, or of an object with a fileno().
int descriptor_of(PyObject* fileobj) {
    object number;
    if (PyLong_Check(fileobj)) {
        number = object::borrowed(fileobj);
    } else {
        PyObject* made = PyObject_CallMethodNoArgs(fileobj, fileno_name);
        if (made) {
            const object said{made};
            made = PyNumber_Long(said.get());
        }
        if (!made) {
            if (PyErr_ExceptionMatches(PyExc_AttributeError) ||
                PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_ValueError)) {
                PyErr_Clear();
                raise(PyExc_ValueError, "Invalid file object: %R", fileobj);
            }
            throw raised{};
        }
        number = object{made};
    }
    int overflow = 0;
    const long value = PyLong_AsLongAndOverflow(number.get(), &overflow);
    if (value == -1 && PyErr_Occurred()) throw raised{};
    if (value < 0 || overflow < 0) raise(PyExc_ValueError, "Invalid file descriptor: %S", number.get());
    if (overflow > 0 || value > INT_MAX)
        raise(PyExc_OverflowError, "signed integer is greater than maximum");
    return static_cast<int>(value);
}

/// The key of a descriptor; null if there is none.
PyObject* key_of(const Bag* self, int descriptor) {
    const object number{PyLong_FromLong(descriptor)};
    PyObject* const found = PyDict_GetItemWithError(self->keys, number.get());
    if (!found && PyErr_Occurred()) throw raised{};
    return found;
}

/// The number under which an object is registered, also once it is closed and has none of its own any more.
int registered_number(const Bag* self, PyObject* fileobj) {
    try {
        return descriptor_of(fileobj);
    } catch (const raised&) {
        if (!self->keys || !PyErr_ExceptionMatches(PyExc_ValueError)) throw;
        Py_ssize_t at = 0;
        PyObject *number, *key;
        while (PyDict_Next(self->keys, &at, &number, &key))
            if (PyTuple_GET_ITEM(key, 0) == fileobj) {
                PyErr_Clear();
                return static_cast<int>(PyLong_AsLong(number));
            }
        throw;
    }
}

/// The key; KeyError if there is none.
PyObject* required_key(const Bag* self, PyObject* fileobj) {
    const int descriptor = registered_number(self, fileobj);
    PyObject* const found = self->keys ? key_of(self, descriptor) : nullptr;
    if (!found) raise(PyExc_KeyError, "%R is not registered", fileobj);
    return found;
}

long descriptor_in(PyObject* key) {
    return PyLong_AsLong(PyTuple_GET_ITEM(key, 1));
}

/// As SelectorKey(fileobj, fd, events, data) makes it, without going through Python for it.
object make_key(PyObject* fileobj, PyObject* descriptor, PyObject* events, PyObject* data) {
    const object fields{PyTuple_Pack(4, fileobj, descriptor, events, data)};
    const object arguments{PyTuple_Pack(1, fields.get())};
    return object{
        PyTuple_Type.tp_new(reinterpret_cast<PyTypeObject*>(selector_key), arguments.get(), nullptr)};
}

/// Positional or by name; null where nothing was given.
template <std::size_t Count>
struct arguments {
    PyObject* value[Count] = {};

    arguments(const char* of, const char* const (&names)[Count], std::size_t required,
              PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
        if (static_cast<std::size_t>(count) > Count)
            raise(PyExc_TypeError, "%s() takes at most %zu arguments (%zd given)", of, Count, count);
        for (Py_ssize_t i = 0; i < count; ++i) value[i] = given[i];
        const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
        for (Py_ssize_t i = 0; i < named; ++i) {
            PyObject* const name = PyTuple_GET_ITEM(keywords, i);
            std::size_t at = 0;
            while (at < Count && PyUnicode_CompareWithASCIIString(name, names[at]) != 0) ++at;
            if (at == Count)
                raise(PyExc_TypeError, "%s() got an unexpected keyword argument %R", of, name);
            if (value[at]) raise(PyExc_TypeError, "%s() got multiple values for argument %R", of, name);
            value[at] = given[count + i];
        }
        for (std::size_t i = 0; i < required; ++i)
            if (!value[i]) raise(PyExc_TypeError, "%s() missing required argument: '%s'", of, names[i]);
    }
};

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

PyObject* add(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    auto* const self = reinterpret_cast<Bag*>(me);
    return guarded([&] {
        const arguments<3> of{"register", {"fileobj", "events", "data"}, 2, given, count, keywords};
        PyObject* const fileobj = of.value[0];
        int overflow = 0;
        const long events = PyLong_AsLongAndOverflow(of.value[1], &overflow);
        if (events == -1 && PyErr_Occurred()) throw raised{};
        if (overflow || events <= 0 || events > (event_read | event_write))
            raise(PyExc_ValueError, "Invalid events: %R", of.value[1]);
        const int descriptor = descriptor_of(fileobj);
        require_open(self);
        const object number{PyLong_FromLong(descriptor)};
        const auto taken = [&] {
            const int found = PyDict_Contains(self->keys, number.get());
            check(found);
            if (found) raise(PyExc_KeyError, "%R (FD %d) is already registered", fileobj, descriptor);
        };
        taken();
        object key = make_key(fileobj, number.get(), of.value[1], of.value[2] ? of.value[2] : Py_None);
        const guest in{self->in};
        require_open(self);  // another thread may have been quicker
        taken();
        enroll(*self->in, descriptor, events, key);
        if (PyDict_SetItem(self->keys, number.get(), key.get()) < 0) {
            self->in->bag.remove(descriptor);
            throw raised{};
        }
        return key;
    });
}

/// Takes a key out of both. Returns it.
object take_out(Bag* self, PyObject* known) {
    object key = object::borrowed(known);
    const long descriptor = descriptor_in(key.get());
    if (self->in->bag.contains(static_cast<int>(descriptor)))
        self->in->bag.remove(static_cast<int>(descriptor));
    if (PyDict_DelItem(self->keys, PyTuple_GET_ITEM(key.get(), 1)) < 0) PyErr_Clear();
    return key;
}

PyObject* remove(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    auto* const self = reinterpret_cast<Bag*>(me);
    return guarded([&] {
        const arguments<1> of{"unregister", {"fileobj"}, 1, given, count, keywords};
        required_key(self, of.value[0]);
        const guest in{self->in};
        return take_out(self, required_key(self, of.value[0]));
    });
}

PyObject* modify(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    auto* const self = reinterpret_cast<Bag*>(me);
    return guarded([&] {
        const arguments<3> of{"modify", {"fileobj", "events", "data"}, 2, given, count, keywords};
        const object before = object::borrowed(required_key(self, of.value[0]));
        PyObject* const fileobj = PyTuple_GET_ITEM(before.get(), 0);
        PyObject* const number = PyTuple_GET_ITEM(before.get(), 1);
        PyObject* const data = of.value[2] ? of.value[2] : Py_None;
        const int other_events =
            PyObject_RichCompareBool(of.value[1], PyTuple_GET_ITEM(before.get(), 2), Py_NE);
        check(other_events);
        const long events = other_events ? PyLong_AsLong(of.value[1]) : 0;
        if (events == -1 && PyErr_Occurred()) throw raised{};
        const object old_data = object::borrowed(PyTuple_GET_ITEM(before.get(), 3));
        const int other_data = PyObject_RichCompareBool(data, old_data.get(), Py_NE);
        check(other_data);
        if (!other_events && !other_data) return object::borrowed(before.get());

        object key = make_key(fileobj, number, of.value[1], data);
        require_open(self);
        const guest in{self->in};
        require_open(self);
        const auto descriptor = static_cast<int>(descriptor_in(key.get()));
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
        check(PyDict_SetItem(self->keys, number, key.get()));
        entry& known = self->in->bag.get(descriptor).data;
        known.key = object::borrowed(key.get());
        known.pair = object{};
        return key;
    });
}

/// Zero or less: does not wait. None: for ever.
nanoseconds timeout_of(PyObject* timeout) {
    if (!timeout || timeout == Py_None) return nanoseconds{-1};
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
    const int descriptor = static_cast<int>(descriptor_in(known.get()));
    self->in->bag.add(descriptor, interest_of(PyLong_AsLong(PyTuple_GET_ITEM(known.get(), 2))),
                      entry{object::borrowed(known.get()), {}});  // says why
    check(PyDict_SetItem(self->keys, PyTuple_GET_ITEM(known.get(), 1), known.get()));
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

PyObject* select(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    auto* const self = reinterpret_cast<Bag*>(me);
    return guarded([&] {
        const arguments<1> of{"select", {"timeout"}, 0, given, count, keywords};
        const nanoseconds timeout = timeout_of(of.value[0]);
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
        // One select of the bag tells so many at most. What did not fit comes first next time.
        constexpr Py_ssize_t batch = 1024;
        nanoseconds patience = timeout;
        Py_ssize_t before = 0;
        while (tell(self, in, list.get(), patience) && PyList_GET_SIZE(list.get()) - before >= batch) {
            before = PyList_GET_SIZE(list.get());
            patience = nanoseconds::zero();
        }
        return list;
    });
}

PyObject* fileno_of(PyObject* me, PyObject*) {
    auto* const self = reinterpret_cast<Bag*>(me);
    return guarded([&] {
        require_open(self);
        const guest in{self->in};
        require_open(self);
        const sel::native_handle descriptor = self->in->bag.backend().descriptor();
        if (descriptor == sel::invalid_handle)
            raise(PyExc_ValueError, "%s has no descriptor", self->in->bag.backend().name());
        if (!std::exchange(self->in->watched, true)) tell_the_kernel(*self->in);
        return object{PyLong_FromLong(descriptor)};
    });
}

PyObject* get_key(PyObject* me, PyObject* fileobj) {
    auto* const self = reinterpret_cast<Bag*>(me);
    return guarded([&] {
        if (!self->keys) raise(PyExc_RuntimeError, "Selector is closed");
        return object::borrowed(required_key(self, fileobj));
    });
}

/// A select under way, of another thread or around this one's signal handler, ends with nothing.
void shut(Bag* self) {
    const std::shared_ptr<insides> in = std::exchange(self->in, nullptr);
    Py_CLEAR(self->keys);
    if (!in) return;
    in->closed = true;
    if (in->selecting) in->bag.wake();
}

PyObject* close(PyObject* me, PyObject*) {
    shut(reinterpret_cast<Bag*>(me));
    Py_RETURN_NONE;
}

PyObject* look_up(PyObject* me, PyObject* fileobj) {
    auto* const self = reinterpret_cast<Bag*>(me);
    return guarded([&] { return object{PyLong_FromLong(registered_number(self, fileobj))}; });
}

PyObject* name_of(PyObject* me, void*) {
    auto* const self = reinterpret_cast<Bag*>(me);
    return guarded([&] {
        require_open(self);
        return object{PyUnicode_FromString(self->in->bag.backend().name())};
    });
}

PyObject* keys_of(PyObject* me, void*) {
    PyObject* const keys = reinterpret_cast<Bag*>(me)->keys;
    return Py_NewRef(keys ? keys : Py_None);
}

// --- its life --------------------------------------------------------------------------------------

PyObject* make(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* const me = type->tp_alloc(type, 0);
    if (me) ::new (&reinterpret_cast<Bag*>(me)->in) std::shared_ptr<insides>;
    return me;
}

int init(PyObject* me, PyObject* given, PyObject*) {
    auto* const self = reinterpret_cast<Bag*>(me);
    const char* name = nullptr;
    if (!PyArg_ParseTuple(given, "|z:Bag", &name)) return -1;
    PyObject* const done = guarded([&] {
        if (self->in) raise(PyExc_RuntimeError, "a selector is made once");
        object keys{PyDict_New()};
        self->in = std::make_shared<insides>(name ? sel::open_backend(name) : sel::open_backend());
        Py_XSETREF(self->keys, keys.release());
        return object::borrowed(Py_None);
    });
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int traverse(PyObject* me, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(me));
    auto* const self = reinterpret_cast<Bag*>(me);
    Py_VISIT(self->keys);
    if (self->in)
        for (const auto& key : self->in->bag.keys()) {
            Py_VISIT(key.data.key.get());
            Py_VISIT(key.data.pair.get());
        }
    return 0;
}

int clear(PyObject* me) {
    shut(reinterpret_cast<Bag*>(me));
    return 0;
}

void dealloc(PyObject* me) {
    PyTypeObject* const type = Py_TYPE(me);
    PyObject_GC_UnTrack(me);
    clear(me);
    std::destroy_at(&reinterpret_cast<Bag*>(me)->in);
    type->tp_free(me);
    Py_DECREF(type);
}

template <auto Function>
PyCFunction with_keywords() noexcept {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Function));
}

PyMethodDef methods[] = {
    {"register", with_keywords<&add>(), METH_FASTCALL | METH_KEYWORDS,
     "register($self, fileobj, events, data=None)\n--\n\n"
     "Register a file object for events, EVENT_READ and EVENT_WRITE or-ed, and attach data to it.\n\n"
     "Returns its SelectorKey. Raises ValueError if the events or the file object are invalid, "
     "KeyError if it is\n"
     "registered already, OSError if the system refuses; nothing is registered then."},
    {"unregister", with_keywords<&remove>(), METH_FASTCALL | METH_KEYWORDS,
     "unregister($self, fileobj)\n--\n\n"
     "Unregister a file object, which may be closed already. Returns its SelectorKey.\n\n"
     "Raises KeyError if it is not registered, ValueError if it is no file object and not registered."},
    {"modify", with_keywords<&modify>(), METH_FASTCALL | METH_KEYWORDS,
     "modify($self, fileobj, events, data=None)\n--\n\n"
     "Change the events, the data or both of a registered file object. Returns the SelectorKey of "
     "now.\n\n"
     "Raises KeyError if it is not registered; OSError if it was closed, and unregisters it. The "
     "kernel is\n"
     "told with the next select, and not at all if only the data is different."},
    {"select", with_keywords<&select>(), METH_FASTCALL | METH_KEYWORDS,
     "select($self, timeout=None)\n--\n\n"
     "Wait until file objects are ready, for at most timeout seconds: None is for ever, 0 and less do "
     "not wait.\n\n"
     "Returns a list of (SelectorKey, events), empty when the time is over. Other threads run "
     "meanwhile, and may\n"
     "register and unregister; a second select at the same time raises RuntimeError. A signal ends it "
     "only if its\n"
     "handler raises."},
    {"get_key", &get_key, METH_O,
     "get_key($self, fileobj)\n--\n\n"
     "The SelectorKey of a file object. Raises KeyError if it is not registered, RuntimeError once "
     "closed."},
    {"_fileno", &fileno_of, METH_NOARGS,
     "_fileno($self)\n--\n\nThe mechanism's own descriptor. Raises ValueError if it has none, or once "
     "closed."},
    {"close", &close, METH_NOARGS,
     "close($self)\n--\n\nClose the selector, not what is registered. May be called again."},
    {"_fileobj_lookup", &look_up, METH_O,
     "_fileobj_lookup($self, fileobj)\n--\n\nThe number of a file object."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef properties[] = {
    {"backend", &name_of, nullptr, "The name of the mechanism.", nullptr},
    {"_fd_to_key", &keys_of, nullptr, "{descriptor: SelectorKey}; None once closed.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A bag of file objects: what the classes of bagselectors share.")},
    {Py_tp_new, reinterpret_cast<void*>(&make)},
    {Py_tp_init, reinterpret_cast<void*>(&init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr}};

PyType_Spec spec{"bagselectors._bag.Bag", sizeof(Bag), 0,
                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

PyObject* backends(PyObject*, PyObject*) {
    return guarded([] {
        object all{PyList_New(0)};
        for (const sel::backend_info& each : sel::backends()) {
            const object one{
                Py_BuildValue("(sOs)", each.name, each.available ? Py_True : Py_False, each.reason)};
            check(PyList_Append(all.get(), one.get()));
        }
        return all;
    });
}

PyMethodDef functions[] = {
    {"backends", &backends, METH_NOARGS,
     "backends()\n--\n\nEvery mechanism of this machine: a list of (name, available, reason)."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef module{PyModuleDef_HEAD_INIT,
                   "bagselectors._bag",
                   "Python's selectors on a bag of sockets.",
                   -1,
                   functions,
                   nullptr,
                   nullptr,
                   nullptr,
                   nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__bag() {
    return guarded([] {
        const object standard{PyImport_ImportModule("selectors")};
        if (pthread_atfork(nullptr, nullptr, [] { ++process; }) != 0) throw std::bad_alloc{};
        selector_key = object{PyObject_GetAttrString(standard.get(), "SelectorKey")}.release();
        fileno_name = object{PyUnicode_InternFromString("fileno")}.release();
        object made{PyModule_Create(&module)};
        const object type{PyType_FromSpec(&spec)};
        check(PyModule_AddObjectRef(made.get(), "Bag", type.get()));
        return made;
    });
}
