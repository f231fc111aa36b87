#include "tokenizer/chat_template.h"

#include <exception>
#include <new>

#include "host/error.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"

namespace kinglet {
namespace {

/// Runs `body` and turns what it throws into a Status.
template <typename T, typename Body>
Result<T> guarded(Body&& body) {
  try {
    return body();
  } catch (const jinja::Failure& failure) {
    if (failure.line == 0) return Status(failure.code, failure.message);
    return error(failure.code, "line {}: {}", failure.line, failure.message);
  } catch (const std::bad_alloc&) {
    return Status(Code::resource_exhausted, "out of memory in a chat template");
  } catch (const std::exception& e) {
    return error(Code::internal, "chat template: {}", e.what());
  }
}

}  // namespace

struct ChatTemplate::Impl {
  explicit Impl(const TemplateLimits& template_limits) : limits(template_limits), constants(template_limits) {}
  TemplateLimits limits;
  jinja::Heap constants;  // of the source; renderings count on heaps of their own
  jinja::Ast ast;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::compile(std::string_view source, const TemplateLimits& limits) {
  return guarded<ChatTemplate>([&]() -> Result<ChatTemplate> {
    auto impl = std::make_unique<Impl>(limits);
    impl->ast = jinja::parse(impl->constants, source);
    return ChatTemplate(std::move(impl));
  });
}

Result<std::string> ChatTemplate::render(const Json& variables, int64_t now_unix) const {
  if (!variables.is_object()) return Status(Code::invalid_argument, "a template's variables are an object");
  return guarded<std::string>([&]() -> Result<std::string> {
    jinja::Heap heap(impl_->limits);
    return jinja::render(impl_->ast, heap, variables, now_unix);
  });
}

}  // namespace kinglet
