// key.hpp - Python's SelectorKey, the file objects that have one, and the files under them.
#pragma once

#include <cerrno>
#include <climits>
#include <system_error>

#include <sys/stat.h>

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

/// The number of a descriptor, or of an object with a fileno(): an int of any size, not negative. Runs anything.
inline object number_of(PyObject* fileobj) {
    object number;
    if (PyLong_CheckExact(fileobj)) {
        number = object::borrowed(fileobj);
    } else {
        PyObject* made = nullptr;
        if (PyLong_Check(fileobj)) {
            made = PyNumber_Long(fileobj);
        } else if (PyObject* const said = PyObject_CallMethodNoArgs(fileobj, fileno_name)) {
            const object kept{said};
            made = PyNumber_Long(said);
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
    if (PyLong_AsLongAndOverflow(number.get(), &overflow) < 0 && overflow <= 0)
        raise(PyExc_ValueError, "Invalid file descriptor: %S", number.get());
    return number;
}

/// As the system counts descriptors.
inline int descriptor_of(PyObject* number) {
    int overflow = 0;
    const long value = PyLong_AsLongAndOverflow(number, &overflow);
    if (overflow != 0 || value > INT_MAX)
        raise(PyExc_OverflowError, "signed integer is greater than maximum");
    return static_cast<int>(value);
}

// The fields of a key, borrowed.
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
inline object make_key(PyObject* fileobj, PyObject* number, PyObject* events, PyObject* data) {
    const object fields{PyTuple_Pack(4, fileobj, number, events, data)};
    const object arguments{PyTuple_Pack(1, fields.get())};
    return object{
        PyTuple_Type.tp_new(reinterpret_cast<PyTypeObject*>(selector_key), arguments.get(), nullptr)};
}

/// What is behind a number, which others may get once it is closed.
struct file {
    dev_t device = 0;
    ino_t inode = 0;
    mode_t mode = 0;

    /// Throws if the number is closed.
    static file of(int descriptor) {
        struct stat status;
        if (fstat(descriptor, &status) < 0)
            throw std::system_error(errno, std::system_category(), "fstat");
        return {status.st_dev, status.st_ino, status.st_mode};
    }
    /// Whether the number still names it.
    bool is_behind(int descriptor) const noexcept {
        struct stat status;
        return fstat(descriptor, &status) == 0 && status.st_dev == device && status.st_ino == inode;
    }
    /// Whether no other has its inode, and the kernel can wait for it: true of these, and hardly anything else.
    bool is_socket_or_pipe() const noexcept { return S_ISSOCK(mode) || S_ISFIFO(mode); }
};

}  // namespace bagselectors
