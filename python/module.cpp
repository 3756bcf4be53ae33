// The extension module _bag: one type, Bag, that fulfils the contract of Python's `selectors` on a bag of sockets.
#include <pthread.h>

#include "bag.hpp"

namespace {

using namespace bagselectors;

/// Positional or by name; None where nothing was given.
template <std::size_t Count>
class arguments {
  public:
    arguments(const char* of, const char* const (&names)[Count], std::size_t required,
              PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
        if (static_cast<std::size_t>(count) > Count)
            raise(PyExc_TypeError, "%s() takes at most %zu arguments (%zd given)", of, Count, count);
        for (Py_ssize_t i = 0; i < count; ++i) value_[i] = given[i];
        const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
        for (Py_ssize_t i = 0; i < named; ++i) {
            PyObject* const name = PyTuple_GET_ITEM(keywords, i);
            std::size_t at = 0;
            while (at < Count && PyUnicode_CompareWithASCIIString(name, names[at]) != 0) ++at;
            if (at == Count)
                raise(PyExc_TypeError, "%s() got an unexpected keyword argument %R", of, name);
            if (value_[at])
                raise(PyExc_TypeError, "%s() got multiple values for argument %R", of, name);
            value_[at] = given[count + i];
        }
        for (std::size_t i = 0; i < required; ++i)
            if (!value_[i])
                raise(PyExc_TypeError, "%s() missing required argument: '%s'", of, names[i]);
    }
    PyObject* operator[](std::size_t at) const noexcept { return value_[at] ? value_[at] : Py_None; }

  private:
    PyObject* value_[Count] = {};
};

Bag* bag_of(PyObject* me) noexcept {
    return reinterpret_cast<Bag*>(me);
}

PyObject* add(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        const arguments<3> of{"register", {"fileobj", "events", "data"}, 2, given, count, keywords};
        return bagselectors::add(bag_of(me), of[0], of[1], of[2]);
    });
}

PyObject* remove(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        const arguments<1> of{"unregister", {"fileobj"}, 1, given, count, keywords};
        return bagselectors::remove(bag_of(me), of[0]);
    });
}

PyObject* modify(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        const arguments<3> of{"modify", {"fileobj", "events", "data"}, 2, given, count, keywords};
        return bagselectors::modify(bag_of(me), of[0], of[1], of[2]);
    });
}

PyObject* select(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        const arguments<1> of{"select", {"timeout"}, 0, given, count, keywords};
        return bagselectors::select(bag_of(me), of[0]);
    });
}

PyObject* get_key(PyObject* me, PyObject* const* given, Py_ssize_t count, PyObject* keywords) {
    return guarded([&] {
        const arguments<1> of{"get_key", {"fileobj"}, 1, given, count, keywords};
        return bagselectors::get_key(bag_of(me), of[0]);
    });
}

PyObject* look_up(PyObject* me, PyObject* fileobj) {
    return guarded([&] { return registered_number(bag_of(me), fileobj); });
}

PyObject* fileno_of(PyObject* me, PyObject*) {
    return guarded([&] { return object{PyLong_FromLong(own_descriptor(bag_of(me)))}; });
}

PyObject* name_of(PyObject* me, void*) {
    return guarded([&] { return object{PyUnicode_FromString(backend_name(bag_of(me)))}; });
}

PyObject* keys_of(PyObject* me, void*) {
    PyObject* const keys = bag_of(me)->keys;
    return keys ? PyDictProxy_New(keys) : Py_NewRef(Py_None);
}

PyObject* close(PyObject* me, PyObject*) {
    bagselectors::close(bag_of(me));
    Py_RETURN_NONE;
}

// --- its life --------------------------------------------------------------------------------------

PyObject* make(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* const me = type->tp_alloc(type, 0);
    if (me) ::new (&bag_of(me)->in) std::shared_ptr<insides>;
    return me;
}

int init(PyObject* me, PyObject* given, PyObject* keywords) {
    Bag* const self = bag_of(me);
    const char* name = nullptr;
    char nameless[] = "";
    char* names[] = {nameless, nullptr};
    if (!PyArg_ParseTupleAndKeywords(given, keywords, "|z:Bag", names, &name)) return -1;
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
    Bag* const self = bag_of(me);
    Py_VISIT(self->keys);
    if (self->in)
        for (const auto& key : self->in->bag.keys()) {
            Py_VISIT(key.data.key.get());
            Py_VISIT(key.data.pair.get());
        }
    return 0;
}

int clear(PyObject* me) {
    bagselectors::close(bag_of(me));
    return 0;
}

void dealloc(PyObject* me) {
    PyTypeObject* const type = Py_TYPE(me);
    PyObject_GC_UnTrack(me);
    clear(me);
    std::destroy_at(&bag_of(me)->in);
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
    {"get_key", with_keywords<&get_key>(), METH_FASTCALL | METH_KEYWORDS,
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

PyGetSetDef properties[] = {{"backend", &name_of, nullptr, "The name of the mechanism.", nullptr},
                            {"_fd_to_key", &keys_of, nullptr,
                             "{descriptor: SelectorKey}, read-only; None once closed.", nullptr},
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
        import_selector_key();
        if (pthread_atfork(nullptr, nullptr, [] { ++process; }) != 0) throw std::bad_alloc{};
        object made{PyModule_Create(&module)};
        const object type{PyType_FromSpec(&spec)};
        check(PyModule_AddObjectRef(made.get(), "Bag", type.get()));
        return made;
    });
}
