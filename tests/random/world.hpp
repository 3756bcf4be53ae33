// random/world.hpp - the oracle: pairs of sockets, and what must be true of them, without a kernel.
//
// Every pair has a watched end and a peer. The model knows what is in flight (a byte count), whether
// the peer is closed, what was asked for; so it can say which events a select must report. Nothing
// here calls the library under test: the model is held against it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <selectors/descriptor.hpp>
#include <selectors/event.hpp>

namespace selectors::testing {

/// What the model knows of one watched descriptor.
struct watched {
    native_handle peer = invalid_handle;  ///< none: closed
    int unread = 0;                       ///< bytes the peer wrote
    bool open = true;  ///< false: closed while in the bag (misuse), its number may be anyone's
    bool registered = false;
    bool oneshot = false;
    trigger mode = trigger::level;
    event news;   ///< what became so since the last select: an edge must tell it
    event asked;  ///< at the last select
    event interest;
    std::uint64_t incarnation = 0;  ///< what is attached to the key

    bool hung_up() const { return peer == invalid_handle; }
    /// What a select must report; none if it must be silent.
    event expected() const;
};

/// Everything that is open, by descriptor.
class world {
  public:
    world() = default;
    world(const world&) = delete;
    world& operator=(const world&) = delete;
    ~world();

    std::map<native_handle, watched> ends;

    /// A fresh pair; returns the watched end's number. None if one of the two numbers is still that of a
    /// key which was closed in the bag.
    std::optional<native_handle> open_pair();
    void write_from_peer(native_handle descriptor, watched& end);
    void read_all(native_handle descriptor, watched& end);
    void close_peer(native_handle descriptor, watched& end);
    /// Closes the watched end; a duplicate may keep its file alive.
    void close_end(native_handle descriptor, watched& end, bool keep_duplicate);
    /// Lets one of the kept duplicates go.
    void drop_duplicate(std::size_t which);
    std::size_t duplicates() const { return kept_.size(); }
    /// Writes to the peer of a kept duplicate, so that an orphan has something to report.
    void write_to_duplicate(std::size_t which);

  private:
    struct duplicate {
        native_handle descriptor;
        native_handle peer;
    };
    std::vector<duplicate> kept_;
};

}  // namespace selectors::testing
