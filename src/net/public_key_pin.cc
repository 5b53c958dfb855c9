#include "net/public_key_pin.h"

#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "net/base64.h"

namespace shoal {

Result<std::string> PublicKeyPinOf(const std::string& certificate_file) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(certificate_file.c_str(), "re"),
                                                       &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      file ? PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr) : nullptr, &X509_free);
  unsigned char* key = nullptr;
  const int key_bytes =
      certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &key) : -1;
  if (key_bytes < 0) return Fail(Errc::kInvalid, certificate_file + ": has no certificate");
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(key, static_cast<size_t>(key_bytes), reinterpret_cast<unsigned char*>(digest.data()));
  OPENSSL_free(key);
  return "sha256//" + Base64(digest);
}

}  // namespace shoal
