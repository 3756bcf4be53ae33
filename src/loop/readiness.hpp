// loop/readiness.hpp - the driver over a bag, on every mechanism the bag has.
//
// Tries first, and waits only after "would block". What the kernel was asked to watch stays asked for when
// an operation has completed, since the next is likely to want the same: a descriptor that reports what
// nobody waits for any more costs one wake-up and is told to be silent then. So an echo costs one recv and
// one send a message, and no change of the kernel's set at all.
#pragma once

#include <selectors/selector.hpp>

#include "loop/driver.hpp"

namespace selectors::detail {

class readiness_driver final : public driver {
  public:
    explicit readiness_driver(backend_handle mechanism) : bag_{std::move(mechanism)} {}

    time_point now() noexcept override;
    bool submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override;
    void close(native_handle descriptor) noexcept override;
    void cancel_all() noexcept override;
    void wait(time_point deadline) override;
    void wake() noexcept override { bag_.wake(); }
    void spin(nanoseconds duration) noexcept override { bag_.spin(duration); }

  private:
    enum side : std::uint8_t {
        input,   ///< recv, accept
        output,  ///< send, connect
    };
    static constexpr event direction_of[] = {event::read, event::write};
    using sibling_chain =
        chain<ready_operation, &ready_operation::next_sibling, &ready_operation::previous_sibling>;
    /// Who waits for a descriptor.
    struct entry {
        operation* waiting[2] = {};  ///< one for each side
        sibling_chain watchers;      ///< those that stand
        bool exhausted[2] = {};      ///< a side's last attempt took all there was: wait before the next
        bool served = false;  ///< an operation has waited, and may have left its direction asked for

        event wanted() const noexcept;
        bool idle() const noexcept { return !waiting[input] && !waiting[output] && !watchers; }
    };

    bool begin(operation& op, side which);
    key<entry> join(native_handle descriptor, event interest);
    void end(operation& op, std::error_code error) noexcept;
    void end(sibling_chain& of, ready_operation& op, std::error_code error) noexcept;
    void end_all(entry& of, std::error_code error) noexcept;
    void tell_operations(entry& at, native_handle descriptor, event events);
    void go_on(entry& at, side which, bool lost) noexcept;

    selector<entry> bag_;
};

}  // namespace selectors::detail
