#include "cli/template_option.h"

#include "host/file.h"

namespace kinglet::cli {
namespace {

constexpr uint64_t kMaxTemplateBytes = uint64_t{4} << 20;

}  // namespace

void add_template(Arguments arguments, std::string& file) {
  arguments.option("--template", file, "use the chat template of this file instead of the model's");
}

Result<ChatSource> template_source(const std::string& file, const Model& model) {
  ChatSource source = chat_source(model.checkpoint());
  if (file.empty()) return source;
  KL_ASSIGN(source.text, read_file(file, kMaxTemplateBytes));
  source.tool_text.clear();
  return source;
}

}  // namespace kinglet::cli
