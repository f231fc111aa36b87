// kinglet inspect: what a model is made of and what it needs, without running it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "arch/describe.h"
#include "arch/model_spec.h"
#include "cli/load_model.h"
#include "cli/table.h"
#include "engine/memory_needs.h"
#include "formats/describe.h"
#include "formats/hf_directory.h"
#include "formats/json.h"
#include "host/error.h"
#include "host/terminal.h"
#include "hub/resolve.h"

namespace kinglet::cli {
namespace {

struct Words {
  CommonOptions common;
  ModelWords model;
  bool tensors = false;
  bool program = false;
};

/// Everything there is to say. A part that could not be had carries why.
struct Report {
  std::string path;
  Checkpoint checkpoint;
  std::vector<NamedTensor> tensors;
  Result<ModelSpec> spec;
  Result<Tokenizer> tokenizer;
  Result<MemoryNeeds> memory;
  std::string kernels;
  RunnerOptions options;
};

/// A vocabulary file, or a folder with a configuration and no weights, is whole in its way.
bool has_weights(const Report& r) { return !r.tensors.empty(); }

/// The model opened as every command opens it, which finds missing and misshapen tensors, with a ledger without limits.
Result<MemoryNeeds> find_needs(const Words& words, const RunnerOptions& options, std::string& kernels) {
  CommonOptions unlimited = words.common;
  unlimited.memory.clear();
  KL_ASSIGN(const LoadedModel loaded, load_model(words.model, unlimited));
  kernels = loaded.model->kernels().name;
  return memory_needs(*loaded.model, options);
}

Result<Report> gather(const Words& words) {
  KL_ASSIGN(const std::string path, hub::resolve_model(words.model.name));
  KL_ASSIGN(Checkpoint checkpoint, Checkpoint::open(path));
  KL_ASSIGN(const RunnerOptions options, runner_options(words.model, words.common));
  std::vector<NamedTensor> tensors = all_tensors(checkpoint);
  Result<ModelSpec> spec = read_model_spec(checkpoint);
  Result<Tokenizer> tokenizer = Tokenizer::load(checkpoint);
  Result<MemoryNeeds> memory = error(Code::not_found, "there are no weights to run");
  std::string kernels;
  if (!spec.ok()) memory = spec.status();
  else if (!tensors.empty()) memory = find_needs(words, options, kernels);
  return Report{path,
                std::move(checkpoint),
                std::move(tensors),
                std::move(spec),
                std::move(tokenizer),
                std::move(memory),
                kernels,
                options};
}

// -- figures --

uint64_t tensor_bytes(const Report& r) {
  uint64_t sum = 0;
  for (const NamedTensor& t : r.tensors) sum += t.view.data.size();
  return sum;
}
int64_t tensor_values(const Report& r) {
  int64_t sum = 0;
  for (const NamedTensor& t : r.tensors) sum += t.view.shape.count().value_or(0);
  return sum;
}
double bits_per_weight(const Report& r) {
  return 8.0 * static_cast<double>(tensor_bytes(r)) / static_cast<double>(tensor_values(r));
}

std::string count_text(int64_t n) {
  if (n >= 1'000'000'000) return fmt::format("{:.2f} billion", static_cast<double>(n) / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.1f} million", static_cast<double>(n) / 1e6);
  return fmt::format("{}", n);
}

/// "q4_k 120, f32 73", most frequent first.
std::string type_counts(const Report& r) {
  std::array<int64_t, kDTypeCount> counts{};
  for (const NamedTensor& t : r.tensors) ++counts[static_cast<size_t>(t.view.dtype)];
  std::vector<size_t> order;
  for (size_t i = 0; i < kDTypeCount; ++i)
    if (counts[i] > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  std::string out;
  for (const size_t i : order)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name(static_cast<DType>(i)), counts[i]);
  return out;
}

std::string claimed_architecture(const Report& r) {
  if (r.spec.ok()) return std::string(r.spec->architecture->name);
  if (const gguf::File* file = r.checkpoint.gguf())
    return std::string(file->get_string("general.architecture").value_or("unknown"));
  const Json& config = r.checkpoint.hf()->config;
  const auto type = config.is_object() ? config.find("model_type") : config.end();
  return type != config.end() && type->is_string() ? type->get<std::string>() : "unknown";
}

std::string format_text(const Report& r) {
  return r.checkpoint.gguf() != nullptr ? fmt::format("GGUF version {}", r.checkpoint.gguf()->version())
                                        : std::string("Hugging Face folder");
}

std::string chat_template_text(const Report& r) {
  if (!r.tokenizer.ok()) return "unknown";
  const size_t bytes = r.tokenizer->chat_template().size();
  return bytes > 0 ? fmt::format("yes, {} bytes", bytes) : "no";
}

// -- text --

class Printer {
 public:
  Printer(const Words& words, const Report& report)
      : words_(words), r_(report), width_(terminal_columns(stdout, 120)) {}

  void run() {
    summary();
    metadata();
    if (words_.tensors) tensors();
    if (words_.program) program();
    memory();
    if (!words_.tensors || !words_.program)
      fmt::print("\nMore: --tensors lists every tensor, --program every step of the computation.\n");
  }

 private:
  void section(const Table& table, std::string_view title) const { fmt::print("{}\n{}", title, table.text(width_)); }

  void summary() const {
    Table t({Align::left, Align::left});
    t.add({"file", r_.path});
    t.add({"format", format_text(r_)});
    t.add({"architecture", r_.spec.ok() ? claimed_architecture(r_)
                                        : fmt::format("{} (Kinglet cannot run it)", claimed_architecture(r_))});
    if (!r_.spec.ok()) t.add({"", std::string(r_.spec.status().text())});
    if (r_.spec.ok()) shape(t);
    weights(t);
    t.add({"tokenizer", std::string(r_.tokenizer.ok() ? r_.tokenizer->description() : r_.tokenizer.status().text())});
    t.add({"chat template", chat_template_text(r_)});
    section(t, "Model");
  }

  void shape(Table& t) const {
    const Hyper& h = r_.spec->hyper;
    t.add({"shape", fmt::format("{} layers, width {}, {} heads over {} of {}, feed-forward {}, vocabulary {}", h.L, h.C,
                                h.H, h.G, h.D, h.F, h.V)});
    std::string context = fmt::format("{} tokens", h.context);
    if (h.window > 0) {
      int64_t local = 0;
      for (int64_t layer = 0; layer < h.L; ++layer) local += h.is_local(layer) ? 1 : 0;
      context += fmt::format("; {} of {} layers see a window of {}", local, h.L, h.window);
    }
    t.add({"context", context});
    const ParameterCounts c = count_parameters(r_.spec->program);
    t.add({"parameters", fmt::format("{}: {} embedding{}, {} linear, {} norm, {} bias", count_text(c.total()),
                                     count_text(c.embedding), c.tied ? " (also the output head)" : "",
                                     count_text(c.linear), count_text(c.norm), count_text(c.bias))});
  }

  void weights(Table& t) const {
    if (!has_weights(r_)) {
      t.add({"weights", "none in this file"});
      return;
    }
    t.add({"weights", fmt::format("{} in {} tensors ({}), {:.2f} bits each", format_bytes(tensor_bytes(r_)),
                                  r_.tensors.size(), type_counts(r_), bits_per_weight(r_))});
    t.add({"file size", format_bytes(r_.checkpoint.weight_bytes())});
  }

  void metadata() const {
    Table t({Align::left, Align::left, Align::left});
    for (const MetadataEntry& e : describe_metadata(r_.checkpoint)) t.add({e.key, e.type, metadata_text(e, 160)});
    section(t, "\nMetadata");
  }

  void tensors() const {
    Table t({Align::left, Align::left, Align::left, Align::right});
    t.add({"name", "type", "shape", "bytes"});
    for (const NamedTensor& tensor : r_.tensors)
      t.add({tensor.name, std::string(name(tensor.view.dtype)), shape_text(tensor.view.shape),
             fmt::format("{}", tensor.view.data.size())});
    section(t, "\nTensors");
  }

  void program() const;
  void memory() const;

  const Words& words_;
  const Report& r_;
  int width_;
};

std::vector<std::string> param_types(const Report& r) {
  std::vector<std::string> out;
  const bool gguf = r.checkpoint.gguf() != nullptr;
  for (const ParamInfo& p : r.spec->program.params) {
    const auto tensor = r.checkpoint.find_tensor(gguf ? p.gguf : p.hf);
    out.emplace_back(tensor ? name(tensor->dtype) : "absent");
  }
  return out;
}

std::string heading(const ProgramSection& section) {
  if (section.layers.empty()) return {};
  return section.layers.size() == 1 ? fmt::format("layer {}", section.layers[0])
                                    : fmt::format("layers {} (x {})", ranges(section.layers), section.layers.size());
}

void Printer::program() const {
  if (!r_.spec.ok()) return;
  Table t({Align::right, Align::left, Align::left, Align::left, Align::left, Align::left});
  t.add_heading(
      "x is what the part before left, #7 the output of step 7, #7[0:64] columns of it; T tokens, R rows of outputs");
  t.add({"step", "operator", "inputs", "output", "parameters", "attributes"});
  bool after_layers = false;
  for (const ProgramSection& s : describe_program(r_.spec->program, param_types(r_))) {
    if (!s.layers.empty()) t.add_heading(heading(s));
    else if (after_layers) t.add_heading("after the layers");
    after_layers = after_layers || !s.layers.empty();
    for (const StepText& step : s.steps)
      t.add({fmt::format("{}", step.number), step.op, step.inputs, step.output, step.parameters, step.attributes});
  }
  section(t, "\nProgram");
  const auto ropes = describe_ropes(r_.spec->program);
  Table tables({Align::left, Align::left});
  for (size_t i = 0; i < ropes.size(); ++i) tables.add({fmt::format("table {}", i), ropes[i]});
  if (!ropes.empty()) section(tables, "Rope");
}

int64_t planned_context(const Report& r) { return r.options.context > 0 ? r.options.context : r.spec->hyper.context; }

void Printer::memory() const {
  if (!r_.memory.ok()) {
    fmt::print("\nMemory\n  unknown: {}\n", one_line(r_.memory.status().text()));
    return;
  }
  const MemoryNeeds& m = *r_.memory;
  Table t({Align::left, Align::right, Align::left});
  t.add({"weights", format_bytes(m.weights), "read where they lie in the file; norms and biases in f32"});
  t.add({"packed weights", format_bytes(m.packed_weights), fmt::format("in the layout of the {} kernels", r_.kernels)});
  t.add({"keys and values", format_bytes(m.key_values), "of one conversation that fills the context"});
  t.add({"activations", format_bytes(m.activations), ""});
  const uint64_t machine = machine_memory_bytes(), available = available_memory_bytes();
  std::string verdict;
  if (machine > 0)
    verdict = fmt::format("this machine has {}, {} of it available: ", format_bytes(machine), format_bytes(available));
  if (machine > 0)
    verdict += m.total() <= available ? "it fits"
               : m.total() <= machine ? "other programs must make room"
                                      : "it does not fit";
  t.add({"total", format_bytes(m.total()), verdict});
  section(t, fmt::format("\nMemory at a context of {} tokens", planned_context(r_)));
}

// -- JSON --

Json tensors_json(const Report& r) {
  Json out = Json::array();
  for (const NamedTensor& t : r.tensors) {
    Json shape = Json::array();
    for (int i = 0; i < t.view.shape.rank; ++i) shape.push_back(t.view.shape[i]);
    out.push_back({{"name", t.name}, {"type", name(t.view.dtype)}, {"shape", shape}, {"bytes", t.view.data.size()}});
  }
  return out;
}

Json metadata_json(const Report& r) {
  Json out = Json::object();
  for (const MetadataEntry& e : describe_metadata(r.checkpoint)) out[e.key] = {{"type", e.type}, {"value", e.value}};
  return out;
}

Json program_json(const Report& r) {
  Json out = Json::array();
  for (const ProgramSection& s : describe_program(r.spec->program, param_types(r))) {
    Json steps = Json::array();
    for (const StepText& step : s.steps)
      steps.push_back({{"step", step.number},
                       {"operator", step.op},
                       {"inputs", step.inputs},
                       {"output", step.output},
                       {"parameters", step.parameters},
                       {"attributes", step.attributes}});
    out.push_back({{"layers", s.layers}, {"steps", steps}});
  }
  return out;
}

Json spec_json(const Report& r) {
  const Hyper& h = r.spec->hyper;
  const ParameterCounts c = count_parameters(r.spec->program);
  return {
      {"vocabulary", h.V},
      {"width", h.C},
      {"layers", h.L},
      {"heads", h.H},
      {"kv_heads", h.G},
      {"head_width", h.D},
      {"feed_forward", h.F},
      {"context", h.context},
      {"window", h.window},
      {"parameters",
       {{"total", c.total()}, {"embedding", c.embedding}, {"linear", c.linear}, {"norm", c.norm}, {"bias", c.bias}}},
      {"tied", c.tied}};
}

Json memory_json(const Report& r) {
  const MemoryNeeds& m = *r.memory;
  return {{"context", planned_context(r)},
          {"kernels", r.kernels},
          {"weights", m.weights},
          {"packed_weights", m.packed_weights},
          {"keys_and_values", m.key_values},
          {"activations", m.activations},
          {"total", m.total()},
          {"machine", machine_memory_bytes()},
          {"available", available_memory_bytes()}};
}

Json report_json(const Report& r) {
  Json out = {{"file", r.path},
              {"format", format_text(r)},
              {"architecture", claimed_architecture(r)},
              {"supported", r.spec.ok()},
              {"file_bytes", r.checkpoint.weight_bytes()},
              {"weight_bytes", tensor_bytes(r)},
              {"bits_per_weight", has_weights(r) ? Json(bits_per_weight(r)) : Json()},
              {"tokenizer", r.tokenizer.ok() ? Json(r.tokenizer->description()) : Json()},
              {"chat_template", r.tokenizer.ok() && !r.tokenizer->chat_template().empty()}};
  if (r.spec.ok()) out["model"] = spec_json(r);
  else out["problem"] = r.spec.status().text();
  out["metadata"] = metadata_json(r);
  out["tensors"] = tensors_json(r);
  if (r.spec.ok()) out["program"] = program_json(r);
  if (r.memory.ok()) out["memory"] = memory_json(r);
  else out["memory_problem"] = r.memory.status().text();
  return out;
}

// What cannot be run for a good reason (an architecture that is not here, no weights at all) has been inspected; damage is an error.
Status verdict(const Words& words, const Report& r) {
  if (!r.spec.ok() && r.spec.status().code() != Code::unsupported) return r.spec.status();
  if (r.spec.ok() && has_weights(r) && !r.memory.ok() && r.memory.status().code() != Code::unsupported)
    return r.memory.status();
  if (!r.memory.ok() || words.common.memory.empty()) return ok_status();
  KL_ASSIGN(const uint64_t limit, parse_bytes(words.common.memory));
  if (r.memory->total() <= limit) return ok_status();
  return error(Code::resource_exhausted, "{} do not fit into --memory {}", format_bytes(r.memory->total()),
               words.common.memory);
}

Status run(const Words& words) {
  KL_ASSIGN(const Report report, gather(words));
  if (words.common.json) fmt::print("{}\n", to_text(report_json(report)));
  else Printer(words, report).run();
  return verdict(words, report);
}

}  // namespace

Action setup_inspect(Arguments arguments) {
  auto words = std::make_shared<Words>();
  add_common(arguments, words->common);
  add_model(arguments, words->model);
  add_cache(arguments, words->model);
  arguments.find("--ctx").describe(
      "plan memory for a conversation of so many tokens (default: what the model was made for)");
  arguments.flag("--tensors", words->tensors, "list every tensor: name, type, shape, bytes");
  arguments.flag("--program", words->program, "show the computation step by step; layers that repeat are shown once");
  arguments.footer("Example:\n  kinglet inspect gemma-3-270m --program --ctx 8192");
  return [words] { return run(*words); };
}

}  // namespace kinglet::cli
