// A backend of your own: it passes everything on to the best mechanism of this machine, and counts.
//
//     counting_backend
//
// What it prints shows what the bag spares the kernel: changes are told when a select comes, and those
// that nobody saw are not told at all. Wrap a backend to count, to log, to make it fail in a test; or
// write one that asks something else altogether what is ready.
#include <chrono>
#include <cstdio>
#include <utility>

#include <selectors/selectors.hpp>

namespace sel = selectors;

namespace {

struct counts {
    int adds = 0, modifies = 0, removes = 0, waits = 0;
};

class counting_backend final : public sel::backend {
  public:
    counting_backend(sel::backend_handle wrapped, counts& into)
        : wrapped_{std::move(wrapped)}, counts_{into} {}

    const char* name() const noexcept override { return wrapped_->name(); }
    bool supports(sel::trigger mode) const noexcept override { return wrapped_->supports(mode); }

    sel::admission add(const sel::registration& wanted) override {
        ++counts_.adds;
        return wrapped_->add(wanted);
    }
    void modify(const sel::registration& wanted) override {
        ++counts_.modifies;
        wrapped_->modify(wanted);
    }
    bool remove(const sel::registration& known) noexcept override {
        ++counts_.removes;
        return wrapped_->remove(known);
    }
    std::size_t wait(std::span<sel::notice> room, std::chrono::nanoseconds timeout) override {
        ++counts_.waits;
        return wrapped_->wait(room, timeout);
    }
    void wake() noexcept override { wrapped_->wake(); }
    void reopen() override { wrapped_->reopen(); }

  private:
    sel::backend_handle wrapped_;
    counts& counts_;
};

}  // namespace

int main() {
    counts seen;
    sel::selector<> bag{sel::backend_handle{new counting_backend{sel::open_backend(), seen}}};

    auto [a, b] = sel::socket::pair(sel::nonblocking);
    bag.add(a, sel::event::read);
    sel::or_throw(b.send("news"));
    for (int lap = 0; lap < 1000; ++lap)
        for (auto [key, events] : bag.select()) {
            bag.modify(key, sel::event::read | sel::event::write);  // not told: it is taken back
            bag.modify(key, sel::event::read);
        }
    bag.modify(a, sel::event::none);
    (void)bag.select(std::chrono::seconds{0});

    std::printf("2001 changes, 1001 selects; %s was told: %d add, %d modify, %d remove, %d waits\n",
                bag.backend().name(), seen.adds, seen.modifies, seen.removes, seen.waits);
}
