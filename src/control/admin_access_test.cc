#include "control/admin_access.h"

#include <gtest/gtest.h>

namespace shoal {
namespace {

constexpr auto kReads = AdminCallKind::kReads;
constexpr auto kChanges = AdminCallKind::kChanges;
constexpr auto kOpen = AdminCallKind::kOpen;

using Headers = std::map<std::string, std::string, std::less<>>;

// 0: it may.
int Refusal(Headers headers, AdminCallKind kind = kReads,
            const AdminAccessRules& rules = {"node7", "", false}, bool secure = false) {
  const auto refusal = RefusalOf({.headers = std::move(headers), .secure = secure}, kind, rules);
  return refusal ? refusal->status : 0;
}

TEST(AdminAccess, TheHostIsThisMachineSoThatNobodyElsesNameLeadsHere) {
  for (const char* host :
       {"localhost", "localhost:17871", "LOCALHOST:17871", "localhost.", "127.0.0.1:17871",
        "10.1.2.3", "[::1]:17871", "[fe80::1]", "node7", "Node7:17871"})
    EXPECT_EQ(Refusal({{"host", host}}), 0) << host;
  for (const char* host :
       {"evil.example", "evil.example:17871", "localhost.evil.example", "127.0.0.1.evil.example",
        "node7.evil.example", "node", "[::1", "[localhost]:1", "[::1]x", "::1", "localhost:1:2",
        ":17871", "a, localhost"})
    EXPECT_EQ(Refusal({{"host", host}}), 403) << host;
  EXPECT_EQ(Refusal({}), 0) << "HTTP/1.0, which no browser speaks";
}

TEST(AdminAccess, WhatChangesSomethingIsAskedForByANameOfWhichBrowsersSayWhoAsks) {
  for (const char* host : {"localhost:17871", "127.0.0.1:17871", "127.8.8.8", "[::1]:17871"})
    EXPECT_EQ(Refusal({{"host", host}}, kChanges), 0) << host;
  for (const char* host : {"0.0.0.0:17871", "0:17871", "[::]:17871", "[::ffff:127.0.0.1]:17871",
                           "10.1.2.3", "node7:17871"}) {
    EXPECT_EQ(Refusal({{"host", host}}, kChanges), 403) << host;
    EXPECT_EQ(Refusal({{"host", host}, {"authorization", "Bearer secret"}}, kChanges,
                      {"node7", "secret", false}),
              0)
        << host;
  }
  EXPECT_EQ(Refusal({}, kChanges), 0);
}

TEST(AdminAccess, WithATokenOrACertificateTheHostMayBeAnyName) {
  EXPECT_EQ(Refusal({{"host", "node7.cluster.example"}}, kReads, {"node7", "", true}), 0);
  EXPECT_EQ(Refusal({{"host", "node7.cluster.example"}, {"authorization", "Bearer secret"}}, kReads,
                    {"node7", "secret", false}),
            0);
}

TEST(AdminAccess, APageOfAnotherOriginChangesNothing) {
  struct Case {
    Headers headers;
    bool secure;
    int status;
  };
  const std::vector<Case> cases = {
      {{{"host", "localhost:1"}}, false, 0},
      {{{"host", "localhost:1"}, {"sec-fetch-site", "none"}}, false, 0},
      {{{"host", "localhost:1"}, {"sec-fetch-site", "same-origin"}}, false, 0},
      {{{"host", "localhost:1"}, {"sec-fetch-site", "same-site"}}, false, 403},
      {{{"host", "localhost:1"}, {"sec-fetch-site", "cross-site"}}, false, 403},
      {{{"host", "localhost:1"}, {"sec-fetch-site", "none, cross-site"}}, false, 403},
      {{{"host", "localhost:1"}, {"origin", "http://localhost:1"}}, false, 0},
      {{{"host", "LOCALHOST:1"}, {"origin", "http://localhost:1"}}, false, 0},
      {{{"host", "localhost:1"}, {"origin", "https://localhost:1"}}, true, 0},
      {{{"host", "localhost:1"}, {"origin", "https://localhost:1"}}, false, 403},
      {{{"host", "localhost:1"}, {"origin", "http://localhost:2"}}, false, 403},
      {{{"host", "localhost:1"}, {"origin", "http://evil.example"}}, false, 403},
      {{{"host", "localhost:1"}, {"origin", "null"}}, false, 403},
  };
  for (const Case& c : cases) {
    const AdminAccessRules rules{"node7", "", false};
    EXPECT_EQ(Refusal(c.headers, kChanges, rules, c.secure), c.status)
        << testing::PrintToString(c.headers);
    EXPECT_EQ(Refusal(c.headers, kReads, rules, c.secure), 0) << testing::PrintToString(c.headers);
    // Certificates are shown by browsers for whoever asks.
    EXPECT_EQ(Refusal(c.headers, kChanges, {"node7", "", true}, c.secure), c.status);
  }
}

TEST(AdminAccess, ATokenIsAskedForWhereThereIsOne) {
  const AdminAccessRules rules{"node7", "0123456789abcdef", false};
  const auto with = [](const char* value) {
    return Headers{{"host", "localhost"}, {"authorization", value}};
  };
  for (const auto kind : {kReads, kChanges}) {
    EXPECT_EQ(Refusal(with("Bearer 0123456789abcdef"), kind, rules), 0);
    EXPECT_EQ(Refusal(with("bearer 0123456789abcdef"), kind, rules), 0);
    for (const char* wrong :
         {"Bearer 0123456789abcdeX", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0",
          "Bearer ", "Bearer", "", "Basic 0123456789abcdef", "0123456789abcdef"})
      EXPECT_EQ(Refusal(with(wrong), kind, rules), 401) << wrong;
    EXPECT_EQ(Refusal({{"host", "localhost"}}, kind, rules), 401);
  }
  EXPECT_EQ(Refusal({{"host", "localhost"}}, kOpen, rules), 0);
}

TEST(AdminAccess, RefusalsSayWhatToDo) {
  EXPECT_EQ(RefusalOf({.headers = {{"host", "a\x01"}}}, kReads, {}),
            (AdminRefusal{403,
                          "Host 'a\\x01' is not this machine; ask for it by address, as "
                          "localhost or by its own name"}));
  EXPECT_EQ(RefusalOf({.headers = {{"host", "a"}}}, kReads, {"", "secret", false}),
            (AdminRefusal{401,
                          "the token of admin_token_file is needed: send the header "
                          "'Authorization: Bearer TOKEN'"}));
}

TEST(AdminOptions, BeyondThisHostATokenOrCertificatesAreNeeded) {
  const auto outcome = [](const AdminOptions& options) {
    const auto checked = CheckAdminOptions(options);
    return checked ? std::string() : checked.error().detail;
  };
  for (const char* address : {"127.0.0.1", "127.8.8.8", "::1", "localhost"})
    EXPECT_EQ(outcome({.address = address}), "") << address;
  for (const char* address : {"0.0.0.0", "::", "10.0.0.1", "fe80::1", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(outcome({.address = address}),
              "admin_address: " + std::string(address) +
                  " can be reached from other machines; give admin_token_file, or "
                  "admin_client_ca_file with admin_cert_file and admin_key_file, or leave it at "
                  "127.0.0.1");
    EXPECT_EQ(outcome({.address = address, .token_file = "/token"}), "");
    EXPECT_EQ(outcome({.address = address,
                       .certificate_file = "/c",
                       .key_file = "/k",
                       .client_ca_file = "/ca"}),
              "");
    EXPECT_NE(outcome({.address = address, .certificate_file = "/c", .key_file = "/k"}), "");
  }
  EXPECT_EQ(outcome({.address = "node7"}),
            "admin_address: 'node7' is not an IPv4 or IPv6 address or localhost");
  EXPECT_EQ(outcome({.certificate_file = "/c"}), "admin_cert_file and admin_key_file go together");
  EXPECT_EQ(outcome({.client_ca_file = "/ca"}),
            "admin_client_ca_file needs admin_cert_file and admin_key_file");
}

}  // namespace
}  // namespace shoal
