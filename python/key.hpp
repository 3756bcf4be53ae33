// key.hpp - Python's SelectorKey, and the file objects that have one.
#pragma once

#include <climits>

#include "object.hpp"

namespace bagselectors {

inline PyObject* selector_key = nullptr;  ///< the class selectors.SelectorKey
inline PyObject* fileno_name = nullptr;

/// Brings in the class. Once, before anything else here.
inline void import_selector_key() {
    const object standard{PyImport_ImportModule("selectors")};
    selector_key = object{PyObject_GetAttrString(standard.get(), "SelectorKey")}.release();
    fileno_name = object{PyUnicode_InternFromString("fileno")}.release();
}

/// The number of a descriptor, or of an object with a fileno().
inline int descriptor_of(PyObject* fileobj) {
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

// Its fields, borrowed.
inline PyObject* fileobj_in(PyObject* key) noexcept {
    return PyTuple_GET_ITEM(key, 0);
}
inline PyObject* number_in(PyObject* key) noexcept {
    return PyTuple_GET_ITEM(key, 1);
}
inline PyObject* events_in(PyObject* key) noexcept {
    return PyTuple_GET_ITEM(key, 2);
}
inline PyObject* data_in(PyObject* key) noexcept {
    return PyTuple_GET_ITEM(key, 3);
}
inline int descriptor_in(PyObject* key) noexcept {
    return static_cast<int>(PyLong_AsLong(number_in(key)));
}

/// As SelectorKey(fileobj, fd, events, data) makes it, without going through Python for it.
inline object make_key(PyObject* fileobj, PyObject* descriptor, PyObject* events, PyObject* data) {
    const object fields{PyTuple_Pack(4, fileobj, descriptor, events, data)};
    const object arguments{PyTuple_Pack(1, fields.get())};
    return object{
        PyTuple_Type.tp_new(reinterpret_cast<PyTypeObject*>(selector_key), arguments.get(), nullptr)};
}

}  // namespace bagselectors
