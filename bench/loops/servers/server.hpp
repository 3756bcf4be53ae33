// server.hpp - what every echo server of the house is given.
//
// A server is one file, servers/<name>.cpp, and a complete program, as a user of that library would write it. It sends back
// what it receives, on any number of connections, until it is killed:
//
//   - It inherits a socket that listens and does not block. TCP_NODELAY is set on it, and so on what it accepts.
//   - It reads at most `read_size` bytes at a time.
//   - A read that fills the buffer is followed by another, up to `reads_in_a_row`, before others have their turn: what has
//     just come is in the cache, and so is what is sent. Where the library reads it decides that itself.
//   - Who does not read is not read from: what cannot be written at once is kept, and until it is written nothing more is
//     read from that peer.
//   - Who has said all (half close) gets all of it back before the connection is closed. A broken one is just closed.
//   - It says nothing, and ends with abort() where the system fails it.
#pragma once

#include <cstddef>

namespace bench {

inline constexpr int listening_descriptor = 3;
inline constexpr std::size_t read_size = 64 * 1024;
inline constexpr int reads_in_a_row = 16;

}  // namespace bench
