// peer_list.hpp - peers, those first that have been quiet for longest.
//
// Every deadline of the server is "so long after the last activity", and so long is the same for all:
// whoever is active moves to the back, which costs four pointers, and who is due stands in front.
//
//     quiet.move_to_back(p, now);
//     while (quiet.front() && quiet.since(*quiet.front()) + limit <= now) close(*quiet.front());
//
// A peer is in one list at most. Owns nothing.
#pragma once

#include <chrono>

#include "peer.hpp"

namespace app {

class peer_list {
  public:
    using time_point = std::chrono::steady_clock::time_point;

    peer* front() const noexcept { return first_; }
    static peer* after(const peer& p) noexcept { return p.after_; }
    static time_point since(const peer& p) noexcept { return p.since_; }

    void push_back(peer& p, time_point now) noexcept {
        p.since_ = now;
        p.before_ = last_;
        p.after_ = nullptr;
        (last_ ? last_->after_ : first_) = &p;
        last_ = &p;
    }
    void remove(peer& p) noexcept {
        (p.before_ ? p.before_->after_ : first_) = p.after_;
        (p.after_ ? p.after_->before_ : last_) = p.before_;
        p.before_ = p.after_ = nullptr;
    }
    void move_to_back(peer& p, time_point now) noexcept {
        remove(p);
        push_back(p, now);
    }

  private:
    peer* first_ = nullptr;
    peer* last_ = nullptr;
};

}  // namespace app
