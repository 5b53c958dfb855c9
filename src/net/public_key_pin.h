// How a server is known by its key, whatever names and dates its certificate has.
#pragma once

#include <string>

#include "base/result.h"

namespace shoal {

// "sha256//BASE64", of the key of the first certificate in a PEM file. kInvalid if there is none.
Result<std::string> PublicKeyPinOf(const std::string& certificate_file);

}  // namespace shoal
