// The parameters of a call to the admin port. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_call.h"

namespace shoal {

struct AdminQuery {
  std::string path;  // "/v1/tier"
  std::map<std::string, std::string, std::less<>> parameters;

  [[nodiscard]] const std::string* Find(std::string_view name) const;
};

// Takes the target apart, and the body of a POST that has the type of a form. In a target "+"
// is a plus, since expressions are full of them and people type them as they are; a space is
// %20. In a form "+" is a space, as forms have it. kInvalid, saying what to mend: a %
// without two hexadecimal digits, a parameter twice, more than 16 parameters.
Result<AdminQuery> ParseAdminQuery(const HttpCall& call);

// Whether a Content-Type is this one, whatever its capitals and parameters. REQUIRES: `media_type`
// is in lower case.
bool IsMediaType(std::string_view content_type, std::string_view media_type);

}  // namespace shoal
