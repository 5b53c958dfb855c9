#include "base/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/file_descriptor.h"

namespace shoal {
namespace {

auto FailSystem(const std::string& path, int error) {
  return Fail(error == ENOENT ? Errc::kNotFound : Errc::kInvalid,
              fmt::format("{}: {}", path, std::strerror(error)));
}

Result<> WriteWhole(const std::string& path, std::string_view text) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return FailSystem(path, errno);
  const ssize_t written = write(file.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return {};
  return FailSystem(path, written < 0 ? errno : ENOSPC);
}

}  // namespace

Result<> ReplaceFile(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());  // of one that was killed when it wrote it
  Result<> replaced = WriteWhole(temporary, text);
  if (replaced && rename(temporary.c_str(), path.c_str()) != 0) replaced = FailSystem(path, errno);
  if (!replaced) unlink(temporary.c_str());
  return replaced;
}

}  // namespace shoal
