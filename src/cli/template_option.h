// --template: another chat template than the model's own.
#pragma once

#include <string>

#include "cli/command.h"
#include "engine/model.h"
#include "tokenizer/chat_source.h"

namespace kinglet::cli {

void add_template(Arguments arguments, std::string& file);

/// The template of `file`, with the model's special tokens; the model's own where `file` is empty (its text is empty
/// where the model has none). Errors: those of read_file.
Result<ChatSource> template_source(const std::string& file, const Model& model);

}  // namespace kinglet::cli
