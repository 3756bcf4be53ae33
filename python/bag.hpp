// bag.hpp - Python's Bag as C++ has it: what is in it, and its verbs.
#pragma once

#include <deque>
#include <memory>

#include <selectors/selector.hpp>

#include "key.hpp"
#include "port.hpp"

namespace bagselectors {

/// What is attached to each descriptor.
struct entry {
    object key;  ///< its SelectorKey, which the dictionary has as well
    file is{};   ///< what was registered under the number
    bool untold =
        false;      ///< the kernel hears of it with the next select; until then it is parked in the bag
    object pair{};  ///< (key, events) as it was last told: told again if nobody has kept it
    long told = 0;  ///< the events in there
    unsigned round = 0;  ///< of the select that told it last
};

struct insides {
    explicit insides(sel::backend_handle opened)
        : mechanism{new port{std::move(opened), gate}}, bag{sel::backend_handle{mechanism}} {}
    /// In this process: of what a fork copied, the selecting thread is not here.
    bool is_selecting() const noexcept { return selecting == process; }

    turnstile gate;
    port* mechanism;  ///< the bag's
    sel::selector<entry> bag;
    std::deque<int> untold;  ///< descriptors that may be so
    unsigned round = 0;
    unsigned selecting = 0;  ///< the process in which it is
    bool watched = false;    ///< somebody waits for the mechanism's own descriptor: it is told at once
    bool closed = false;     ///< perhaps while selecting
};

struct Bag {
    PyObject ob_base;
    PyObject* keys;               ///< {number: SelectorKey}; null if it is closed, or was never made
    std::shared_ptr<insides> in;  ///< null likewise; whoever is in there keeps it until he has left
};

// Its verbs, with the interpreter's lock. They throw `raised`, or what the library throws.

object add(Bag* self, PyObject* fileobj, PyObject* events, PyObject* data);
object remove(Bag* self, PyObject* fileobj);
object modify(Bag* self, PyObject* fileobj, PyObject* events, PyObject* data);
/// A list of (key, events). Zero or less: does not wait. None: for ever.
object select(Bag* self, PyObject* timeout);
object get_key(const Bag* self, PyObject* fileobj);
/// The number under which an object is registered, also once it is closed and has none of its own any more.
object registered_number(const Bag* self, PyObject* fileobj);
/// The mechanism's own descriptor.
int own_descriptor(Bag* self);
const char* backend_name(const Bag* self);
/// A select under way, of another thread or around this one's signal handler, ends with nothing.
void close(Bag* self);

}  // namespace bagselectors
