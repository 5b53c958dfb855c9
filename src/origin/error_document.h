// From an answer that is not a success to our Error: the one place where HTTP statuses
// and the stores' codes are told apart. Pure functions of text that is not to be trusted.
#pragma once

#include <cstddef>
#include <cstdint>
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
  std::string server{};    // which program answered, by its Server header

  friend bool operator==(const ErrorDocument&, const ErrorDocument&) = default;
};

// Empty if the text is not such a document.
[[nodiscard]] ErrorDocument ParseErrorDocument(std::string_view text);

// What was asked, in the words of a log line.
struct Operation {
  // What a failure of it can say.
  enum class Kind : uint8_t {
    kObject,  // of one key, which may be missing
    kHead,    // the same, in a few headers: no document has to come
    kBucket,  // of the bucket, which is there
  };
  std::string_view name;   // "GetObject"
  std::string_view right;  // the right it needs: "oss:GetObject"
  std::string_view key;    // or the prefix, or the bucket
  Kind kind = Kind::kObject;
};

// "GetObject 'key': `what`"
[[nodiscard]] std::string Describe(const Operation& operation, std::string_view what);

// kNotFound only where it is the key that is missing: a listing that finds nothing is a success.
// REQUIRES: `status` is not a success.
[[nodiscard]] Error FailureOf(const Operation& operation, int status,
                              const ErrorDocument& document);

}  // namespace shoal
