// Load for bench.py: reads as programs do, and says how long it took as one line of JSON,
// {"seconds": 0.5, "operations": 512, "bytes": 536870912}. Finding out names and opening
// files that are read as one is not timed, nor is starting threads and processes. A read that
// fails or is short ends it with exit status 1. Built by name: not part of `all`.
#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPage = 4096;
constexpr size_t kMiB = size_t{1} << 20;

struct Totals {
  uint64_t operations = 0;
  uint64_t bytes = 0;
};

[[noreturn]] void Fail(const std::string& what) {
  fmt::print(stderr, "load: {}: {}\n", what, std::strerror(errno));
  std::_Exit(1);
}

class File {
 public:
  explicit File(const std::string& path, int flags = 0)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | flags)) {
    if (fd_ < 0) Fail(path);
  }
  ~File() { close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] size_t size_bytes() const {
    struct stat status {};
    if (fstat(fd_, &status) != 0) Fail("fstat");
    return static_cast<size_t>(status.st_size);
  }
  void ReadAt(std::byte* out, size_t length, size_t offset) const {
    const ssize_t got = pread(fd_, out, length, static_cast<off_t>(offset));
    if (got != static_cast<ssize_t>(length)) Fail("read");
  }

 private:
  const int fd_;
};

// Aligned for O_DIRECT, and touched.
class Buffer {
 public:
  explicit Buffer(size_t size_bytes)
      : data_(static_cast<std::byte*>(std::aligned_alloc(kPage, size_bytes)), std::free) {
    std::fill_n(data_.get(), size_bytes, std::byte{1});
  }
  [[nodiscard]] std::byte* data() const { return data_.get(); }

 private:
  std::unique_ptr<std::byte, decltype(&std::free)> data_;
};

void Report(Clock::time_point begun, Totals totals) {
  const std::chrono::duration<double> taken = Clock::now() - begun;
  fmt::print("{{\"seconds\": {:.6f}, \"operations\": {}, \"bytes\": {}}}\n", taken.count(),
             totals.operations, totals.bytes);
}

Totals Sum(const Totals* parts, size_t count) {
  return std::accumulate(parts, parts + count, Totals{}, [](Totals sum, const Totals& part) {
    return Totals{sum.operations + part.operations, sum.bytes + part.bytes};
  });
}

// What one of several workers does. It calls `ready` once, when all that is left is timed.
using Worker = std::function<Totals(size_t worker, const std::function<void()>& ready)>;

void RunThreads(size_t count, const Worker& work) {
  std::vector<Totals> totals(count);
  std::barrier ready(static_cast<std::ptrdiff_t>(count) + 1);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] { totals[i] = work(i, [&] { ready.arrive_and_wait(); }); });
  }
  ready.arrive_and_wait();
  const Clock::time_point begun = Clock::now();
  for (std::thread& thread : threads) thread.join();
  Report(begun, Sum(totals.data(), count));
}

// Processes, for what threads would share locks in: a table of descriptors, a memory map.
void RunProcesses(size_t count, const Worker& work) {
  auto* totals = static_cast<Totals*>(mmap(nullptr, count * sizeof(Totals), PROT_READ | PROT_WRITE,
                                           MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  int ready[2], go[2];
  if (totals == MAP_FAILED || pipe(ready) != 0 || pipe(go) != 0) Fail("no memory or pipe");
  for (size_t i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) Fail("fork");
    if (child > 0) continue;
    close(go[1]);
    char byte = 0;
    totals[i] = work(i, [&] {
      // The end of the second pipe is the word to go.
      if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 0) Fail("pipe");
    });
    std::_Exit(0);
  }
  close(ready[1]);
  char byte = 0;
  for (size_t i = 0; i < count; ++i) {
    if (read(ready[0], &byte, 1) != 1) Fail("a process ended early");
  }
  const Clock::time_point begun = Clock::now();
  close(go[1]);
  for (size_t i = 0; i < count; ++i) {
    int status = 0;
    if (wait(&status) < 0 || status != 0) std::_Exit(1);
  }
  Report(begun, Sum(totals, count));
}

struct Sequential {
  std::string path;
  size_t threads = 1, passes = 1, skip_bytes = 0, bytes = 0;
};

// Each thread reads a part of its own, from begin to end, a MiB at a time.
void Read(const Sequential& load) {
  const size_t size = load.bytes != 0 ? load.bytes : File(load.path).size_bytes();
  const size_t part = size / load.threads / kMiB * kMiB;
  RunThreads(load.threads, [&](size_t worker, const auto& ready) {
    const File file(load.path);
    const Buffer buffer(kMiB);
    Totals totals;
    ready();
    for (size_t pass = 0; pass < load.passes; ++pass) {
      for (size_t at = 0; at < part; at += kMiB) {
        file.ReadAt(buffer.data(), kMiB, load.skip_bytes + worker * part + at);
        ++totals.operations;
        totals.bytes += kMiB;
      }
    }
    return totals;
  });
}

struct Random {
  std::string path;
  size_t threads = 1, reads = 100'000, bytes = 0;
  bool direct = false;
};

// Reads of 4 KiB; `reads` is of all threads together.
void Read(const Random& load) {
  const size_t size = load.bytes != 0 ? load.bytes : File(load.path).size_bytes();
  RunThreads(load.threads, [&](size_t worker, const auto& ready) {
    const File file(load.path, load.direct ? O_DIRECT : 0);
    const Buffer buffer(kPage);
    std::mt19937_64 chance(worker);
    Totals totals;
    ready();
    while (totals.operations < load.reads / load.threads) {
      file.ReadAt(buffer.data(), kPage, chance() % (size / kPage) * kPage);
      ++totals.operations;
      totals.bytes += kPage;
    }
    return totals;
  });
}

struct Mapped {
  std::string path;
  size_t passes = 1;
};

// The first touch of each page of a new map, in order.
void Touch(const Mapped& load) {
  const File file(load.path);
  const size_t size = file.size_bytes();
  RunThreads(1, [&](size_t, const auto& ready) {
    Totals totals;
    ready();
    for (size_t pass = 0; pass < load.passes; ++pass) {
      void* map = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd(), 0);
      if (map == MAP_FAILED) Fail("mmap");
      for (size_t at = 0; at < size; at += kPage) {
        static_cast<void>(static_cast<const volatile std::byte*>(map)[at]);
        ++totals.operations;
      }
      munmap(map, size);
      totals.bytes += size;
    }
    return totals;
  });
}

struct Tree {
  std::string directory;
  size_t processes = 1, passes = 1;
};

std::vector<std::string> NamesBelow(const std::string& directory, bool files_only) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!files_only || entry.is_regular_file()) names.push_back(entry.path());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Opens, reads and closes every file, each by one of the processes.
void Read(const Tree& load) {
  const std::vector<std::string> names = NamesBelow(load.directory, true);
  RunProcesses(load.processes, [&](size_t worker, const auto& ready) {
    const Buffer buffer(kMiB);
    Totals totals;
    ready();
    for (size_t pass = 0; pass < load.passes; ++pass) {
      for (size_t i = worker; i < names.size(); i += load.processes) {
        const File file(names[i]);
        ssize_t got = 0;
        while ((got = read(file.fd(), buffer.data(), kMiB)) > 0) {
          totals.bytes += static_cast<uint64_t>(got);
        }
        if (got < 0) Fail(names[i]);
        ++totals.operations;
      }
    }
    return totals;
  });
}

void Stat(const Tree& load) {
  const std::vector<std::string> names = NamesBelow(load.directory, false);
  RunProcesses(load.processes, [&](size_t worker, const auto& ready) {
    Totals totals;
    ready();
    for (size_t pass = 0; pass < load.passes; ++pass) {
      for (size_t i = worker; i < names.size(); i += load.processes) {
        struct stat status {};
        if (lstat(names[i].c_str(), &status) != 0) Fail(names[i]);
        ++totals.operations;
      }
    }
    return totals;
  });
}

struct Http {
  std::string url_list, user, region = "us-east-1", keep_directory;
  size_t threads = 1;
};

// Counts what comes, and keeps it: one object behind the other in a file, each written at once.
class Kept {
 public:
  // Empty: it is thrown away.
  explicit Kept(const std::string& path) {
    if (path.empty()) return;
    fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd_ < 0) Fail(path);
  }
  ~Kept() {
    if (fd_ >= 0) close(fd_);
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  // libcurl's write callback.
  static size_t Append(char* data, size_t size, size_t count, void* kept) {
    auto& self = *static_cast<Kept*>(kept);
    self.bytes_ += size * count;
    if (self.fd_ >= 0) self.object_.append(data, size * count);
    return size * count;
  }
  void EndObject() {
    const auto length = static_cast<ssize_t>(object_.size());
    if (fd_ >= 0 && write(fd_, object_.data(), object_.size()) != length) Fail("write");
    object_.clear();
  }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  int fd_ = -1;
  std::string object_;
  uint64_t bytes_ = 0;
};

// GETs of each URL, signed as S3 wants, each thread on one connection that is kept.
void Get(const Http& load) {
  std::vector<std::string> urls;
  std::ifstream list(load.url_list);
  for (std::string url; std::getline(list, url);) urls.push_back(url);
  if (urls.empty()) Fail(load.url_list);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  RunThreads(load.threads, [&](size_t worker, const auto& ready) {
    Totals totals;
    Kept kept(load.keep_directory.empty() ? ""
                                          : load.keep_directory + "/" + std::to_string(worker));
    CURL* curl = curl_easy_init();
    curl_slist* headers = curl_slist_append(nullptr, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, ("aws:amz:" + load.region + ":s3").c_str());
    curl_easy_setopt(curl, CURLOPT_USERPWD, load.user.c_str());
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Kept::Append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &kept);
    ready();
    for (size_t i = worker; i < urls.size(); i += load.threads) {
      curl_easy_setopt(curl, CURLOPT_URL, urls[i].c_str());
      const CURLcode code = curl_easy_perform(curl);
      if (code != CURLE_OK) {
        fmt::print(stderr, "load: {}: {}\n", urls[i], curl_easy_strerror(code));
        std::_Exit(1);
      }
      kept.EndObject();
      ++totals.operations;
    }
    totals.bytes = kept.bytes();
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return totals;
  });
}

int Run(int argument_count, char** arguments) {
  CLI::App app("Load for bench.py");
  app.require_subcommand(1);

  Sequential sequential;
  CLI::App* seq = app.add_subcommand("seq", "1 MiB reads");
  seq->add_option("FILE", sequential.path)->required();
  seq->add_option("--threads", sequential.threads)->check(CLI::PositiveNumber);
  seq->add_option("--passes", sequential.passes);
  seq->add_option("--skip-bytes", sequential.skip_bytes);
  seq->add_option("--bytes", sequential.bytes, "how much of the file; 0: all");
  seq->callback([&] { Read(sequential); });

  Random random;
  CLI::App* rnd = app.add_subcommand("random", "4 KiB reads");
  rnd->add_option("FILE", random.path)->required();
  rnd->add_option("--threads", random.threads)->check(CLI::PositiveNumber);
  rnd->add_option("--reads", random.reads);
  rnd->add_option("--bytes", random.bytes, "only from the begin of the file; 0: from all of it");
  rnd->add_flag("--direct", random.direct, "O_DIRECT");
  rnd->callback([&] { Read(random); });

  Mapped mapped;
  CLI::App* map = app.add_subcommand("mmap", "first touches of a map");
  map->add_option("FILE", mapped.path)->required();
  map->add_option("--passes", mapped.passes);
  map->callback([&] { Touch(mapped); });

  Tree tree;
  const auto add_tree = [&](const char* name, const char* what) {
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("DIRECTORY", tree.directory)->required();
    command->add_option("--processes", tree.processes)->check(CLI::PositiveNumber);
    command->add_option("--passes", tree.passes);
    return command;
  };
  add_tree("small-files", "open, read and close all files")->callback([&] { Read(tree); });
  add_tree("stat", "stat all files and directories")->callback([&] { Stat(tree); });

  Http http;
  CLI::App* get = app.add_subcommand("http-get", "signed GETs of a list of URLs");
  get->add_option("LIST", http.url_list, "a file with one URL a line")->required();
  get->add_option("--user", http.user, "KEY_ID:KEY_SECRET")->required();
  get->add_option("--region", http.region);
  get->add_option("--keep", http.keep_directory,
                  "a file for each thread there; none: nothing is kept");
  get->add_option("--threads", http.threads)->check(CLI::PositiveNumber);
  get->callback([&] { Get(http); });

  CLI11_PARSE(app, argument_count, arguments);
  return 0;
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    return Run(argument_count, arguments);
  } catch (const std::exception& error) {  // a directory that cannot be listed
    fmt::print(stderr, "load: {}\n", error.what());
    return 1;
  }
}
