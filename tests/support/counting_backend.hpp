// support/counting_backend.hpp - a real backend that counts how often it is asked for what.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include <selectors/backend.hpp>

namespace selectors::testing {

struct calls {
    int add = 0;
    int modify = 0;
    int remove = 0;
    int wait = 0;
    int wake = 0;
    int reopen = 0;
    std::chrono::nanoseconds last_timeout{};
    std::function<void()> meanwhile;   ///< what somebody else does while a wait lasts
    std::function<void()> before_add;  ///< these two may refuse it, by throwing
    std::function<void()> before_reopen;

    int changes() const { return add + modify + remove; }
};

class counting_backend final : public backend {
  public:
    counting_backend(backend_handle counted, std::shared_ptr<calls> into)
        : counted_{std::move(counted)}, calls_{std::move(into)} {}

    const char* name() const noexcept override { return counted_->name(); }
    bool supports(trigger mode) const noexcept override { return counted_->supports(mode); }
    admission add(const registration& wanted) override {
        ++calls_->add;
        if (calls_->before_add) calls_->before_add();
        return counted_->add(wanted);
    }
    void modify(const registration& wanted) override {
        ++calls_->modify;
        counted_->modify(wanted);
    }
    bool remove(const registration& known) noexcept override {
        ++calls_->remove;
        return counted_->remove(known);
    }
    bool forgets_what_is_closed() const noexcept override { return counted_->forgets_what_is_closed(); }
    std::size_t wait(std::span<notice> room, std::chrono::nanoseconds timeout) override {
        ++calls_->wait;
        calls_->last_timeout = timeout;
        const std::size_t found = counted_->wait(room, timeout);
        if (calls_->meanwhile) calls_->meanwhile();
        return found;
    }
    void wake() noexcept override {
        ++calls_->wake;
        counted_->wake();
    }
    void reopen() override {
        ++calls_->reopen;
        if (calls_->before_reopen) calls_->before_reopen();
        counted_->reopen();
    }

  private:
    backend_handle counted_;
    std::shared_ptr<calls> calls_;
};

}  // namespace selectors::testing
