// What a process that serves a mount leaves to the one that takes its place, should it end
// at any moment: what the numbers stand for that it gave to the kernel.
//
// Kept are directories the kernel knows, open handles of both kinds, ids of backing files, and
// the files that were looked up last (or all, fs/inode_table.h). Other files are not: of a number
// nobody knows the kernel is told ESTALE, and it walks the path again by itself, once.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace shoal {

// One number and what it stands for. The views are the caller's.
struct HandOverRecord {
  enum class Kind : uint32_t {
    kDirectory = 1,      // number: inode; count: the kernel's references; text: prefix
    kOpenFile = 2,       // number: handle; see fs/kept_handles.cc
    kOpenDirectory = 3,  // number: handle; see fs/kept_handles.cc
    kBackingFile = 4,    // number: the kernel's id of a file it reads by itself
    kFile = 5,           // number: inode; see fs/inode_table.cc
  };
  static constexpr size_t kValueCount = 5;

  Kind kind{};
  uint64_t number = 0;
  uint64_t count = 0;
  uint64_t values[kValueCount]{};
  std::string_view text{};
  std::string_view more_text{};
};

// Thread-safe; never waits. What was kept is there for the next process from the moment
// that Keep returns, and gone from the moment that Drop returns.
class HandOver {
 public:
  // Names a record for this process; kNone: it was not kept.
  using Token = uint32_t;
  static constexpr Token kNone = 0;

  virtual ~HandOver() = default;

  // kNone where there is no room, which is logged once: then the number is lost with the
  // process.
  virtual Token Keep(const HandOverRecord& record) = 0;
  virtual void SetCount(Token token, uint64_t count) = 0;
  virtual void Drop(Token token) = 0;

  // What the processes before this one left. `visit` must not call back.
  using Visitor = std::function<void(Token, const HandOverRecord&)>;
  virtual void VisitLeft(HandOverRecord::Kind kind, const Visitor& visit) = 0;

  // Different for each process that serves the mount, and below 2^20 for the first million.
  [[nodiscard]] virtual uint64_t generation() const = 0;
};

// Leaves nothing behind.
class NoHandOver final : public HandOver {
 public:
  Token Keep(const HandOverRecord&) override { return kNone; }
  void SetCount(Token, uint64_t) override {}
  void Drop(Token) override {}
  void VisitLeft(HandOverRecord::Kind, const Visitor&) override {}
  [[nodiscard]] uint64_t generation() const override { return 0; }
};

}  // namespace shoal
