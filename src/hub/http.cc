#include "hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>

#include "host/error.h"
#include "host/file.h"

namespace kinglet::hub {
namespace {

namespace fs = std::filesystem;

constexpr long kMaxRedirects = 10;

struct CurlDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Curl = std::unique_ptr<CURL, CurlDeleter>;
using List = std::unique_ptr<curl_slist, ListDeleter>;

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

/// The parts of an answer that decide what to do with its body.
struct Answer {
  long status = 0;
  std::string etag;
  int64_t length = -1;  ///< of this body; -1: not said
};

/// One request and what its callbacks see.
struct Exchange {
  Answer answer;
  std::function<bool(const Answer&)> begin;        ///< before the body: false ends the transfer
  std::function<bool(const char*, size_t)> write;  ///< a piece of the body: false ends the transfer
  bool begun = false;
};

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_header(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return false;
  return std::equal(name.begin(), name.end(), line.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

size_t on_header(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) exchange.answer = {};  // of a redirect's target: what came before counts no more
  if (is_header(line, "etag")) exchange.answer.etag = std::string(trimmed(line.substr(5)));
  return size * count;
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const size_t bytes = size * count;
  return exchange.write(data, bytes) ? bytes : 0;
}

/// What went wrong with a request that has an answer.
Status http_error(const std::string& url, long status) {
  if (status == 401 || status == 403) {
    return error(Code::invalid_argument,
                 "{}: refused ({}); it may need an access token (set HF_TOKEN) or its licence accepted", url, status);
  }
  if (status == 404 || status == 410) return error(Code::not_found, "{}: not there ({})", url, status);
  return error(Code::io, "{}: the server answers {}", url, status);
}

/// Options that every request shares: web protocols only, no step down from https, limits in time.
void prepare(CURL* curl, const std::string& url, const HttpOptions& options, Exchange& exchange) {
  const bool secure = url.starts_with("https:");
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMaxRedirects);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, options.connect_seconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, options.stalled_seconds);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "kinglet");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
}

/// A transfer that ended, well or not. `again`: trying once more may help.
struct Outcome {
  Status status;
  bool again = false;
};

Outcome perform(const std::string& url, const HttpOptions& options, const std::vector<std::string>& headers,
                Exchange& exchange) {
  start_curl();
  const Curl curl(curl_easy_init());
  if (!curl) return {Status(Code::internal, "libcurl does not start"), false};
  prepare(curl.get(), url, options, exchange);
  List list;
  const auto add = [&list](const std::string& header) {
    list.reset(curl_slist_append(list.release(), header.c_str()));
  };
  for (const std::string& header : headers) add(header);
  if (!options.token.empty()) add("Authorization: Bearer " + options.token);  // libcurl keeps it to the first host
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, list.get());
  // The body's pieces need the status, which is known once the first of them comes.
  const auto write = exchange.write;
  bool refused = false;
  const auto begin_once = [&] {
    if (std::exchange(exchange.begun, true)) return true;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &exchange.answer.status);
    curl_off_t length = -1;
    curl_easy_getinfo(curl.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    exchange.answer.length = length;
    return exchange.answer.status < 300 && exchange.begin(exchange.answer);
  };
  exchange.write = [&](const char* data, size_t size) {
    if (begin_once() && write(data, size)) return true;
    refused = true;
    return false;
  };
  const CURLcode code = curl_easy_perform(curl.get());
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &exchange.answer.status);
  const long status = exchange.answer.status;
  if (status >= 300) return {http_error(url, status), status >= 500 || status == 429};
  if (refused) return {Status(Code::io, "stopped"), false};  // whoever refused says why
  if (code != CURLE_OK) {
    const bool again = code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
                       code == CURLE_OPERATION_TIMEDOUT || code == CURLE_SEND_ERROR || code == CURLE_HTTP2_STREAM;
    return {error(Code::io, "{}: {}", url, curl_easy_strerror(code)), again && status != 0};
  }
  if (!exchange.begun && !begin_once()) return {Status(Code::io, "stopped"), false};  // an empty body
  return {};
}

// -- files in parts --

/// What was fetched so far, and the mark by which the server knows the file again.
class Part {
 public:
  explicit Part(std::string path) : path_(std::move(path)), mark_path_(path_ + ".etag") {
    std::error_code ec;
    const auto size = fs::file_size(path_, ec);
    std::ifstream mark(mark_path_);
    std::getline(mark, etag_);
    if (!ec && !etag_.empty()) size_ = size;  // without a mark nobody knows what it is the beginning of
  }

  uint64_t size() const { return size_; }
  std::vector<std::string> headers() const {
    if (size_ == 0) return {};
    return {fmt::format("Range: bytes={}-", size_), "If-Range: " + etag_};
  }

  /// Opens for what `answer` brings: the rest, or all of it.
  Status open(const Answer& answer) {
    const bool continued = answer.status == 206 && size_ > 0;
    if (!continued) size_ = 0;
    file_.close();
    file_.clear();
    file_.open(path_, std::ios::binary | (continued ? std::ios::app : std::ios::trunc));
    // A weak mark is no ground to join bytes on.
    etag_ = answer.etag.starts_with("W/") ? "" : answer.etag;
    std::ofstream(mark_path_, std::ios::trunc) << etag_;
    return file_ ? ok_status() : error(Code::io, "{}: cannot be written", path_);
  }

  Status append(const char* data, size_t size) {
    file_.write(data, static_cast<std::streamsize>(size));
    if (!file_) return error(Code::io, "{}: cannot be written; is the disk full?", path_);
    size_ += size;
    return ok_status();
  }

  Status close() {
    if (!file_.is_open()) return ok_status();
    file_.close();
    return file_ ? ok_status() : error(Code::io, "{}: cannot be written; is the disk full?", path_);
  }

  void discard() {
    close().ok();
    std::error_code ec;
    fs::remove(path_, ec);
    forget_mark();
    size_ = 0;
  }
  void forget_mark() {
    std::error_code ec;
    fs::remove(mark_path_, ec);
    etag_.clear();
  }

 private:
  std::string path_;
  std::string mark_path_;
  std::string etag_;
  uint64_t size_ = 0;
  std::ofstream file_;
};

Status check_room(const std::string& path, uint64_t bytes) {
  std::error_code ec;
  const auto space = fs::space(fs::path(path).parent_path(), ec);
  if (!ec && space.available < bytes) {
    return error(Code::io, "{}: the disk has room for {} bytes, {} are needed", path,
                 static_cast<uint64_t>(space.available), bytes);
  }
  return ok_status();
}

/// One try. A failure of ours (the disk, an unexpected length) is left in `own`.
Outcome fetch_once(const std::string& url, const std::string& path, uint64_t expected, const HttpOptions& options,
                   Part& part, Status& own) {
  Exchange exchange;
  uint64_t total = expected;
  exchange.begin = [&](const Answer& answer) {
    const uint64_t before = answer.status == 206 ? part.size() : 0;
    if (answer.length >= 0) {
      total = before + static_cast<uint64_t>(answer.length);
      if (expected > 0 && total != expected)
        own = error(Code::corrupt, "{}: {} bytes, expected {}", url, total, expected);
      else own = check_room(path, static_cast<uint64_t>(answer.length));
    }
    if (own.ok()) own = part.open(answer);
    return own.ok();
  };
  exchange.write = [&](const char* data, size_t size) {
    if (expected > 0 && part.size() + size > expected)
      own = error(Code::corrupt, "{}: more than {} bytes", url, expected);
    else own = part.append(data, size);
    if (own.ok() && options.progress) options.progress(part.size(), total);
    return own.ok();
  };
  Outcome outcome = perform(url, options, part.headers(), exchange);
  if (const Status closed = part.close(); own.ok()) own = closed;
  if (outcome.status.ok() && own.ok() && total > 0 && part.size() != total) {
    return {error(Code::io, "{}: broke off after {} of {} bytes", url, part.size(), total), true};
  }
  if (exchange.answer.status == 416) {  // our part is no beginning of what is there now
    part.discard();
    outcome.again = true;
  }
  return outcome;
}

}  // namespace

Result<std::string> http_get(const std::string& url, const HttpOptions& options, size_t max_bytes) {
  std::string body;
  Exchange exchange;
  bool too_long = false;
  exchange.begin = [](const Answer&) { return true; };
  exchange.write = [&](const char* data, size_t size) {
    too_long = body.size() + size > max_bytes;
    if (!too_long) body.append(data, size);
    return !too_long;
  };
  const Outcome outcome = perform(url, options, {}, exchange);
  if (too_long) return error(Code::corrupt, "{}: more than {} bytes", url, max_bytes);
  if (!outcome.status.ok()) return outcome.status;
  return body;
}

Status download(const std::string& url, const std::string& path, uint64_t expected_bytes, const HttpOptions& options) {
  Part part(path + ".part");
  auto pause = std::chrono::milliseconds(options.retry_milliseconds);
  for (int failures = 0;;) {
    const uint64_t before = part.size();
    Status own;
    const Outcome outcome = fetch_once(url, path, expected_bytes, options, part, own);
    if (!own.ok()) {
      if (own.code() == Code::corrupt) part.discard();
      return own;
    }
    if (outcome.status.ok()) {
      part.forget_mark();
      return ok_status();
    }
    // A try that brought something on is no failure of its own: a slow line may break many times.
    failures = part.size() > before ? 1 : failures + 1;
    if (!outcome.again || failures > options.retries) return outcome.status;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(8000));
  }
}

}  // namespace kinglet::hub
