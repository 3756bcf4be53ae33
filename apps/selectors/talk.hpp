// talk.hpp - `selectors talk`: the terminal on one side, a socket on the other, and a bag between.
#pragma once

#include <string>

namespace app {

/// Sends what stdin brings and prints what the peer sends, until the peer has finished. The end of
/// stdin is passed on, and the rest still printed. Returns 0, or 1 with a sentence on stderr if the
/// connection cannot be made or breaks. Throws std::system_error for a bad address. May block while
/// it asks for a host's name, and while stdout takes nothing.
int talk(const std::string& address);

}  // namespace app
