// loop/handle_callback.hpp - the callback of a node that lives for a handle, and longer while it is called.
//
// The callback may end its own handle, and go on: it and its captures live until it has returned. So the
// node stays until then, too; what else it waits for it says itself, in `destroy_if_done`.
#pragma once

#include "loop/state.hpp"

namespace selectors::detail {

template <class... Arguments>
class handle_callback {
  public:
    handle_callback(callback<void(Arguments...)>&& call, const std::source_location& where) noexcept
        : call_{std::move(call)}, where_{where} {}

    /// Whether its handle lives.
    bool owned() const noexcept { return owned_; }
    /// Whether nobody wants it any more, and it has returned: its node may go as far as it is concerned.
    bool over() const noexcept { return !owned_ && !calling_; }

    /// May be the end of the node.
    template <class Node>
    void tell(Node& node, loop_state& home, const char* kind, Arguments... what) {
        struct ending {
            ~ending() {
                of.calling_ = false;
                if (!of.owned_) [[unlikely]]
                    of.drop(node);
            }
            handle_callback& of;
            Node& node;
        } const ending{*this, node};
        calling_ = true;
        home.call(kind, where_, call_, what...);
    }

    /// The handle goes. Returns what is to be dropped once the node has ended whatever it was for: captures
    /// may own anything.
    [[nodiscard]] callback<void(Arguments...)> give_up() noexcept {
        owned_ = false;
        return calling_ ? callback<void(Arguments...)>{} : std::move(call_);
    }

  private:
    /// It has returned, and its handle has gone meanwhile.
    template <class Node>
    [[gnu::noinline]] void drop(Node& node) {
        const auto dropped = std::move(call_);
        node.destroy_if_done();
    }

    callback<void(Arguments...)> call_;
    std::source_location where_;
    bool owned_ = true;
    bool calling_ = false;
};

}  // namespace selectors::detail
