// loop/list.hpp - nodes of other people's in a row, linked through themselves: nothing allocates or throws.
//
// A node stays where it is meanwhile. By one pair of links it is in one row at a time.
#pragma once

#include <utility>

namespace selectors::detail {

/// First in, first out, through `next`.
template <class Node>
class queue {
  public:
    bool empty() const noexcept { return first_ == nullptr; }
    void push(Node& newest) noexcept {
        newest.next = nullptr;
        append(newest, newest);
    }
    /// Those from `oldest` to `newest`, which are linked already.
    void append(Node& oldest, Node& newest) noexcept {
        (first_ ? last_->next : first_) = &oldest;
        last_ = &newest;
    }
    /// The oldest; there must be one.
    Node& pop() noexcept {
        Node& oldest = *first_;
        first_ = oldest.next;
        return oldest;
    }
    /// The newest, or null.
    const Node* newest() const noexcept { return first_ ? last_ : nullptr; }

  private:
    Node* first_ = nullptr;
    Node* last_ = nullptr;
};

/// The newest first; any of them can be taken out.
template <class Node, Node* Node::* Next, Node* Node::* Previous>
class chain {
  public:
    /// Null if there is none.
    Node* first() const noexcept { return first_; }
    explicit operator bool() const noexcept { return first_ != nullptr; }
    void push(Node& newest) noexcept {
        newest.*Previous = nullptr;
        newest.*Next = std::exchange(first_, &newest);
        if (Node* const after = newest.*Next) after->*Previous = &newest;
    }
    void remove(Node& gone) noexcept {
        Node* const after = std::exchange(gone.*Next, nullptr);
        Node* const before = std::exchange(gone.*Previous, nullptr);
        if (after) after->*Previous = before;
        (before ? before->*Next : first_) = after;
    }

  private:
    Node* first_ = nullptr;
};

}  // namespace selectors::detail
