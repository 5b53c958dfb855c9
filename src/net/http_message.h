// One HTTP exchange, as the client sees it.
#pragma once

#include <boost/container/flat_map.hpp>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace shoal {

// By name, in lower case. In one piece of memory: there are a dozen, in each request and answer.
using HttpHeaders = boost::container::flat_map<std::string, std::string, std::less<>>;

struct HttpRequest {
  std::string method = "GET";  // GET, HEAD or POST
  std::string origin{};        // "https://host", "http://[::1]:9000": no path, no last slash
  std::string target{};        // path and query as they go on the wire: percent-encoded
  HttpHeaders headers{};
  std::string body{};  // of a POST; its type is a header, or else a form's
};

struct HttpHead {
  int status = 0;
  HttpHeaders headers{};  // of a repeated one, the last
};

// Decides from the head of an answer where its body goes.
class HttpReceiver {
 public:
  virtual ~HttpReceiver() = default;
  // Called once, before any of the body. The sink that takes the body, and stays valid
  // until the exchange ends; null for none of it: the connection is closed.
  virtual ByteSink* Begin(HttpHead head) = 0;
};

// Keeps a document of at most `size_bytes_max`; wants no more after that.
class DocumentSink final : public ByteSink {
 public:
  explicit DocumentSink(size_t size_bytes_max) : size_bytes_max_(size_bytes_max) {}
  bool Append(std::span<const std::byte> bytes) override {
    too_long_ = too_long_ || bytes.size() > size_bytes_max_ - text_.size();
    if (too_long_) return false;
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  // There was more than it keeps.
  [[nodiscard]] bool too_long() const { return too_long_; }

 private:
  const size_t size_bytes_max_;
  bool too_long_ = false;
  std::string text_;
};

}  // namespace shoal
