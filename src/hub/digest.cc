#include "hub/digest.h"

#include <openssl/evp.h>

#include <fstream>
#include <vector>

#include "host/error.h"

namespace kinglet::hub {

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) { EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr); }
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) { EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()); }

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(impl_->context, digest, &size);
  std::string out;
  for (unsigned int i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

Result<std::string> sha256_file(const std::string& path, const std::function<void(uint64_t)>& read) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return error(Code::not_found, "{}: cannot be opened", path);
  Sha256 digest;
  std::vector<char> buffer(size_t{1} << 20);
  uint64_t done = 0;
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const auto n = static_cast<size_t>(file.gcount());
    digest.update(std::as_bytes(std::span(buffer.data(), n)));
    done += n;
    if (read) read(done);
  }
  if (file.bad()) return error(Code::io, "{}: cannot be read", path);
  return digest.hex();
}

}  // namespace kinglet::hub
