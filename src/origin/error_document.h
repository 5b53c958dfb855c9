// From an answer that is not a success to our Error: the one place where HTTP statuses
// and the stores' codes are told apart. Pure functions of text that is not to be trusted.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace shoal {

inline constexpr size_t kErrorDocumentBytesMax = 64 * size_t{1024};

// What a store says of a failure. Empty where it does not say.
struct ErrorDocument {
  std::string code{};
  std::string message{};
  std::string request_id{};
  std::string endpoint{};  // where the bucket is, if it is elsewhere

  friend bool operator==(const ErrorDocument&, const ErrorDocument&) = default;
};

// Empty if the text is not such a document.
[[nodiscard]] ErrorDocument ParseErrorDocument(std::string_view text);

// What was asked, in the words of a log line.
struct Operation {
  std::string_view name;   // "GetObject"
  std::string_view right;  // the right it needs: "oss:GetObject"
  std::string_view key;    // or the prefix, or the bucket
};

// "GetObject 'key': `what`"
[[nodiscard]] std::string Describe(const Operation& operation, std::string_view what);

// REQUIRES: `status` is not a success.
[[nodiscard]] Error FailureOf(const Operation& operation, int status,
                              const ErrorDocument& document);

}  // namespace shoal
