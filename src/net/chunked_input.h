// How much of a chunked body Beast's parser has to be given at once.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>

namespace shoal {

// Whether `held_bytes` are too few to be parsed. Once the parser has seen that a chunk is the last
// it takes for granted, by an assert of Boost 1.81, that five bytes are there; and while a chunked
// body goes on, five or more are still to come: "0\r\n\r\n".
template <bool kIsRequest>
bool AwaitsMore(const boost::beast::http::basic_parser<kIsRequest>& parser, size_t held_bytes) {
  constexpr size_t kLastChunkBytes = 5;
  return parser.is_header_done() && !parser.is_done() && parser.chunked() &&
         held_bytes < kLastChunkBytes;
}

}  // namespace shoal
