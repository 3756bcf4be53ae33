// programs/operations_echo - an echo on the driver's operations, as a stream will use them, for strace to count.
//
//     operations_echo                    says where it listens; SELECTORS_BACKEND names the mechanism
#include <cstdio>
#include <memory>
#include <vector>

#include <selectors/selectors.hpp>

#include "loop/readiness.hpp"

namespace sel = selectors;
namespace detail = selectors::detail;

namespace {

struct connection;

/// An operation that knows whose it is.
template <class Kind>
struct owned : Kind {
    using Kind::Kind;
    connection* owner = nullptr;
};

struct connection {
    connection(detail::driver& carrier, sel::native_handle number)
        : on{carrier}, in{number, &received}, out{number, &sent} {
        in.owner = out.owner = this;
        in.rooms = {&room, 1};
        in.of_stream = true;
        out.parts = {&part, 1};
    }

    /// Goes on for as long as nothing has to be waited for.
    void read() {
        while (on.submit(in))
            if (!answer()) return;
    }
    bool answer() {
        if (in.error || in.count == 0) return false;
        part = sel::const_buffer{memory, in.count};
        return on.submit(out);
    }
    static void received(detail::operation& op) {
        connection& of = *static_cast<owned<detail::recv_operation>&>(op).owner;
        if (of.answer()) of.read();
    }
    static void sent(detail::operation& op) {
        static_cast<owned<detail::send_operation>&>(op).owner->read();
    }

    detail::driver& on;
    owned<detail::recv_operation> in;
    owned<detail::send_operation> out;
    char memory[4096];
    sel::mutable_buffer room{memory};
    sel::const_buffer part;
};

}  // namespace

int main() {
    detail::readiness_driver driver{sel::open_backend()};
    const sel::socket door = sel::listen(sel::address::loopback(0));
    std::printf("listening on %s\n", sel::or_throw(door.local_address()).text().c_str());
    std::fflush(stdout);
    std::vector<std::unique_ptr<connection>> all;
    bool accepting = false;
    detail::accept_operation next{door.descriptor(), [](detail::operation&) {}};
    for (;;) {
        while (next.state == detail::operation_state::idle) {
            if (accepting || driver.submit(next)) {
                if (next.error) return 1;
                all.push_back(std::make_unique<connection>(driver, next.accepted));
                all.back()->read();
                accepting = false;
            } else {
                accepting = true;
            }
        }
        driver.wait(detail::time_point::max());
        while (!driver.completed.empty()) {
            detail::operation& op = driver.completed.pop();
            op.complete(op);
        }
    }
}
