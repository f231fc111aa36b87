// The web page: the files of web/dist, which are built into the program.
#pragma once

#include <optional>

#include "server/http_server.h"

namespace kinglet::server {

/// A file of the page: with its ETag, or 304 where the client has it already; gzipped for clients that take that. Nothing for
/// paths and methods that are none of the page's. Any thread, and quick (each file is compressed once).
std::optional<HttpReply> web_page_reply(const HttpRequest& request);

}  // namespace kinglet::server
