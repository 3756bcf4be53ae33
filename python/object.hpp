// object.hpp - Python's objects, exceptions and lock, as C++ has them.
#pragma once

#include <cerrno>
#include <exception>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <unistd.h>

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace bagselectors {

/// Where the interpreter has ended while a thread was in Python code, it ends that thread as soon as it asks for the
/// lock, in the middle of C++, which nothing there expects. Such a thread stays here, for as long as the process still has.
[[noreturn]] inline void stay() noexcept {
    for (;;) pause();
}

/// Whether this thread has lost the lock for ever, and must not touch an object any more: the interpreter ends or has
/// ended, and it is not the thread that ends it.
inline bool is_cut_off() noexcept {
    return !Py_IsInitialized() && (!PyGILState_GetThisThreadState() || !PyGILState_Check());
}

/// A Python exception is set: it goes through the library as this, and comes out as itself.
struct raised {};

/// Owns a reference.
class object {
  public:
    object() noexcept = default;
    /// Takes over a new reference; null means that an exception was set.
    explicit object(PyObject* made) : held_{made} {
        if (!made) throw raised{};
    }
    static object borrowed(PyObject* other) noexcept {
        object made;
        made.held_ = Py_NewRef(other);
        return made;
    }
    object(object&& other) noexcept : held_{std::exchange(other.held_, nullptr)} {}
    object& operator=(object&& other) noexcept {
        std::swap(held_, other.held_);
        return *this;
    }
    ~object() {
        if (!held_) return;
        if (is_cut_off()) stay();
        try {
            Py_DECREF(held_);
        } catch (...) {
            stay();
        }
    }

    PyObject* get() const noexcept { return held_; }
    PyObject* release() noexcept { return std::exchange(held_, nullptr); }

  private:
    PyObject* held_ = nullptr;
};

/// Gives up the interpreter's lock while it lives.
class unlocked {
  public:
    unlocked() noexcept : state_{PyEval_SaveThread()} {}
    unlocked(const unlocked&) = delete;
    unlocked& operator=(const unlocked&) = delete;
    ~unlocked() {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {
            stay();
        }
    }

  private:
    PyThreadState* state_;
};

template <class... Arguments>
[[noreturn]] void raise(PyObject* type, const char* format, Arguments... arguments) {
    PyErr_Format(type, format, arguments...);
    throw raised{};
}

inline void check(int result) {
    if (result < 0) throw raised{};
}

/// Sets the Python exception of the C++ one that is being handled.
inline void translate() noexcept {
    try {
        throw;
    } catch (const raised&) {  // is set
    } catch (const std::system_error& refused) {
        errno = refused.code().value();
        PyErr_SetFromErrno(PyExc_OSError);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::invalid_argument& wrong) {
        PyErr_SetString(PyExc_ValueError, wrong.what());
    } catch (const std::exception& failed) {
        PyErr_SetString(PyExc_RuntimeError, failed.what());
    }
}

template <class Work>
PyObject* guarded(Work work) noexcept {
    try {
        return work().release();
    } catch (...) {
        if (!std::current_exception()) stay();  // it is none: the thread is being unwound
        translate();
        return nullptr;
    }
}

}  // namespace bagselectors
