// A certificate authority of a test's own, and servers' certificates that it signs: PEM files in
// a directory that goes with it.
#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "testing/temporary_directory.h"

namespace shoal {

// What OpenSSL's functions answer when they fail is null, zero or less: a test cannot go on.
class TestAuthority {
 public:
  struct Issued {
    std::string certificate_file;
    std::string key_file;
  };

  // Two of one name are still strangers.
  explicit TestAuthority(std::string name = "shoal test authority")
      : name_(std::move(name)), key_(NewKey()), certificate_(New(name_, *key_, kDay)) {
    Add(*certificate_, NID_basic_constraints, "critical,CA:TRUE");
    Add(*certificate_, NID_key_usage, "critical,keyCertSign");
    Sign(*certificate_);
    Write(file(), [&](FILE* out) { return PEM_write_X509(out, certificate_.get()); });
  }

  // Its own certificate, which a client trusts or not.
  [[nodiscard]] std::string file() const { return directory_.path() / "authority.pem"; }

  // For a server that is known as `name`: "IP:127.0.0.1", "DNS:example.com". Valid for the day
  // before the moment `expires_in_seconds` from now.
  Issued Issue(const std::string& name, long expires_in_seconds = kDay) {
    const Key key(NewKey());
    const Certificate certificate(New("shoal test server", *key, expires_in_seconds));
    Add(*certificate, NID_subject_alt_name, name);
    Sign(*certificate);
    const std::string stem = directory_.path() / ("server-" + std::to_string(++issued_count_));
    Issued issued{.certificate_file = stem + ".pem", .key_file = stem + ".key"};
    Write(issued.certificate_file,
          [&](FILE* out) { return PEM_write_X509(out, certificate.get()); });
    Write(issued.key_file, [&](FILE* out) {
      return PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    return issued;
  }

 private:
  static constexpr long kDay = 24 * 3600;

  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;

  static void Check(bool ok) {
    if (!ok) std::abort();
  }
  static EVP_PKEY* NewKey() {
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    Check(key != nullptr);
    return key;
  }
  X509* New(const std::string& subject, EVP_PKEY& key, long expires_in_seconds) {
    X509* const certificate = X509_new();
    Check(certificate != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial_number_);
    X509_gmtime_adj(X509_getm_notBefore(certificate), expires_in_seconds - kDay - 1);
    X509_gmtime_adj(X509_getm_notAfter(certificate), expires_in_seconds);
    Check(X509_set_pubkey(certificate, &key) == 1);
    SetName(*X509_get_subject_name(certificate), subject);
    SetName(*X509_get_issuer_name(certificate), name_);
    return certificate;
  }
  static void SetName(X509_NAME& name, const std::string& text) {
    Check(X509_NAME_add_entry_by_txt(&name, "CN", MBSTRING_ASC,
                                     reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1,
                                     0) == 1);
  }
  static void Add(X509& certificate, int extension_id, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, Free> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, extension_id, value.c_str()));
    Check(extension && X509_add_ext(&certificate, extension.get(), -1) == 1);
  }
  void Sign(X509& certificate) { Check(X509_sign(&certificate, key_.get(), EVP_sha256()) > 0); }
  template <class WriteTo>
  static void Write(const std::string& path, WriteTo write_to) {
    FILE* const out = fopen(path.c_str(), "w");
    Check(out != nullptr && write_to(out) == 1 && fclose(out) == 0);
  }

  const TemporaryDirectory directory_;
  const std::string name_;
  long serial_number_ = 0;
  int issued_count_ = 0;
  const Key key_;
  const Certificate certificate_;
};

}  // namespace shoal
