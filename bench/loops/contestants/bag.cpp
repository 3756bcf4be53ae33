// The bag, as a user has it: a range-for over what is ready, and the place attached to its socket.
#include <selectors/selectors.hpp>

#include "../contestant.hpp"

namespace bench {
namespace {

namespace sel = selectors;

class bag_ring final : public ring {
  public:
    explicit bag_ring(std::span<const place> places) {
        for (const place& each : places) bag_.add(each.in, sel::event::read, each);
    }
    void play(game& game) override {
        while (!game.over())
            for (auto [key, events] : bag_.select()) game.pass(key.data);
    }

  private:
    sel::selector<place> bag_;
};

class bag_interests final : public interests {
  public:
    explicit bag_interests(std::span<const int> descriptors)
        : descriptors_{descriptors.begin(), descriptors.end()} {}
    void add(std::size_t which) override { bag_.add(descriptors_[which], sel::event::read); }
    void widen(std::size_t which) override {
        bag_.modify(descriptors_[which], sel::event::read | sel::event::write);
    }
    void narrow(std::size_t which) override { bag_.modify(descriptors_[which], sel::event::read); }
    void remove(std::size_t which) override { bag_.remove(descriptors_[which]); }
    void look() override { (void)bag_.select(std::chrono::seconds{0}); }

  private:
    std::vector<int> descriptors_;
    sel::selector<> bag_;
};

}  // namespace

const contestant the_contestant{
    .make_ring = make<ring, bag_ring>,
    .make_interests = make<interests, bag_interests>,
};

}  // namespace bench
