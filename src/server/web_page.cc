#include "server/web_page.h"

#include <zlib.h>

#include <array>
#include <span>

#include "hub/digest.h"
#include "server/web_files.h"

namespace kinglet::server {
namespace {

// The page talks to this server alone; whatever a model writes cannot bring script, styles, frames, forms or pictures along.
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri "
    "'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify";

struct File {
  std::string_view path, type, content;
  std::string etag, packed;
};

// Empty where zlib fails (it has no memory): the file is sent as it is then.
std::string gzip(std::string_view content) {
  constexpr int kGzip = 15 + 16;  // zlib's largest window, and a gzip head
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(whole ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

File make_file(std::string_view path, std::string_view type, std::string_view content) {
  hub::Sha256 sha;
  sha.update(std::as_bytes(std::span(content)));
  return {path, type, content, '"' + sha.hex().substr(0, 32) + '"', gzip(content)};
}

const File* find_file(std::string_view path) {
  static const std::array<File, 5> kFiles = {
      make_file("/", "text/html; charset=utf-8", kIndexHtml),
      make_file("/app.js", "text/javascript; charset=utf-8", kAppJs),
      make_file("/app.css", "text/css; charset=utf-8", kAppCss),
      make_file("/icon.svg", "image/svg+xml", kIconSvg),
      make_file("/licenses.txt", "text/plain; charset=utf-8", kLicensesTxt),
  };
  for (const File& file : kFiles) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

// "gzip;q=0" says no.
bool takes_gzip(std::string_view encodings) {
  const size_t at = encodings.find("gzip");
  if (at == std::string_view::npos) return false;
  const std::string_view rest = encodings.substr(at, encodings.find(',', at) - at);
  return rest.find("q=0") == std::string_view::npos || rest.find("q=0.") != std::string_view::npos;
}

}  // namespace

std::optional<HttpReply> web_page_reply(const HttpRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
  const File* file = find_file(request.path);
  if (file == nullptr) return std::nullopt;
  HttpReply reply{200, std::string(file->type), ""};
  reply.headers = {{"ETag", file->etag},
                   {"Cache-Control", "no-cache"},
                   {"Vary", "Accept-Encoding"},
                   {"Content-Security-Policy", kPolicy},
                   {"X-Content-Type-Options", "nosniff"},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cross-Origin-Opener-Policy", "same-origin"},
                   {"Cross-Origin-Resource-Policy", "same-origin"}};
  if (request.if_none_match.find(file->etag) != std::string::npos) {
    reply.status = 304;
  } else if (takes_gzip(request.accept_encoding) && !file->packed.empty()) {
    reply.headers.emplace_back("Content-Encoding", "gzip");
    reply.body = file->packed;
  } else {
    reply.body = file->content;
  }
  return reply;
}

}  // namespace kinglet::server
