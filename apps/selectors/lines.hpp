// lines.hpp - bytes into lines, with bounded memory.
//
//     lines.feed(bytes, 100, [&](std::string_view line) {
//         if (line.size() > 100) refuse(); else answer(line);
//     });
//
// Lines end with "\n" or "\r\n", and come without it. Of a line longer than the limit one character
// more than the limit is kept, so that it can be told from a good one; the rest is let go.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace app {

class line_reader {
  public:
    /// Calls `use` with every line that these bytes complete. The view is good during the call only.
    template <class Use>
    void feed(std::string_view bytes, std::size_t limit, Use use) {
        while (!bytes.empty()) {
            const std::size_t end = bytes.find('\n');
            const std::string_view piece = bytes.substr(0, end);
            // One more than the limit, and one for a "\r" that may turn out to be part of the end.
            unfinished_.append(piece.substr(0, limit + 2 - unfinished_.size()));
            if (end == bytes.npos) return;
            finish(use);
            bytes.remove_prefix(end + 1);
        }
    }

    /// The stream has ended: what is left is a line, too.
    template <class Use>
    void finish_stream(Use use) {
        if (!unfinished_.empty()) finish(use);
    }

  private:
    template <class Use>
    void finish(Use use) {
        if (unfinished_.ends_with('\r')) unfinished_.pop_back();
        use(std::string_view{unfinished_});
        unfinished_.clear();
    }

    std::string unfinished_;
};

}  // namespace app
