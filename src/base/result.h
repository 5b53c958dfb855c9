// Result<T>: a value, or the reason there is none.
//
// Failures a caller can meet in normal running are values of this type.
// Exceptions are not thrown (base/start_thread.h tells of one of the standard library's); a broken
// invariant is an assert and ends the process.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace shoal {

// One entry for each way a caller may act differently; not one for each cause.
enum class Errc : uint8_t {
  kNotFound,      // no such object, path or handle
  kDenied,        // credentials missing, expired or insufficient
  kArchived,      // the object's storage class must be restored before it can be read
  kInvalid,       // can never succeed as asked
  kUnsupported,   // outside docs/semantics.md
  kNotDirectory,  // a file where a directory is needed
  kIsDirectory,   // a directory where a file is needed
  kReadOnly,      // would write to a read-only mount
  kChanged,       // no longer the version that was opened
  kBusy,          // a limit was reached: try elsewhere, or later
  kUnreachable,   // the other side did not answer, or not as it should: a retry may help
  kUnusable,      // the other side cannot be used as it is: somebody has to act first
  kTimedOut,      // the deadline passed
  kInterrupted,   // the caller no longer wants the answer
  kCorrupt,       // bytes failed their checksum
  kNoSpace,
};

struct Error {
  Errc code;
  std::string detail;  // what was attempted, for the log line; never parsed

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

[[nodiscard]] inline auto Fail(Errc code, std::string detail) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

}  // namespace shoal

// The only two control-flow macros. Each hides exactly one early return.
#define SHOAL_CONCAT_(a, b) a##b
#define SHOAL_CONCAT(a, b) SHOAL_CONCAT_(a, b)
#define RETURN_IF_ERROR(expr)                                                  \
  do {                                                                         \
    auto shoal_status = (expr);                                                \
    if (!shoal_status) return tl::unexpected(std::move(shoal_status).error()); \
  } while (false)
#define ASSIGN_OR_RETURN(decl, expr) \
  SHOAL_ASSIGN_OR_RETURN_(SHOAL_CONCAT(shoal_result_, __LINE__), decl, expr)
#define SHOAL_ASSIGN_OR_RETURN_(tmp, decl, expr)           \
  auto tmp = (expr);                                       \
  if (!tmp) return tl::unexpected(std::move(tmp).error()); \
  decl = *std::move(tmp)
