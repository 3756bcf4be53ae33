#include <selectors/event.hpp>

namespace selectors {

std::string to_string(event events) {
    static constexpr struct {
        event flag;
        const char* name;
    } names[] = {{event::read, "read"},
                 {event::write, "write"},
                 {event::priority, "priority"},
                 {event::error, "error"},
                 {event::hangup, "hangup"}};
    std::string text;
    const auto append = [&](const std::string& part) { text += (text.empty() ? "" : "|") + part; };
    for (const auto& [flag, name] : names) {
        if (events & flag) append(name);
        events -= flag;
    }
    if (events) append(std::to_string(events.bits()));
    return text.empty() ? "none" : text;
}

const char* to_string(trigger mode) noexcept {
    switch (mode) {
    case trigger::level: return "level";
    case trigger::oneshot: return "oneshot";
    case trigger::edge: return "edge";
    case trigger::exclusive: return "exclusive";
    }
    return "unknown";
}

}  // namespace selectors
