#include "server/model_shelf.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "host/error.h"

namespace kinglet::server {
namespace {

constexpr int kLooks = 50;
constexpr auto kBetweenLooks = std::chrono::milliseconds(2);

std::string name_of(const ModelShelf::Place& place, int32_t adapter) {
  return adapter == kNone ? place.name : fmt::format("{}:{}", place.name, place.adapters[static_cast<size_t>(adapter)]);
}

}  // namespace

ModelFacts facts_of(const ServedModel& served) {
  const Model& model = served.runner->model();
  ModelFacts out{.context = served.runner->context(),
                 .width = model.hyper().C,
                 .layers = model.hyper().L,
                 .weight_bytes = model.checkpoint().weight_bytes(),
                 .gguf = model.checkpoint().kind() == Checkpoint::Kind::gguf,
                 .family = std::string(model.spec().architecture->name)};
  for (const ParamShape& param : model.program().shapes) out.parameters += param.shape.count().value_or(0);
  if (served.chat) out.chat_template = served.chat->source().text;
  return out;
}

Status ModelShelf::add(Place place) {
  if (std::ranges::any_of(slots_, [&](const Slot& s) { return s.place.name == place.name; }))
    return error(Code::invalid_argument, "two models are called {}", place.name);
  slots_.push_back({std::move(place)});
  return ok_status();
}

Status ModelShelf::load_all(std::vector<std::pair<std::string, Status>>& failures) {
  size_t good = slots_.size();
  for (size_t i = slots_.size(); i-- > 0;) {  // the first one last: it stays in memory
    const Status status = load(i).status();
    if (status.ok()) good = i;
    else failures.emplace_back(slots_[i].place.name, status);
  }
  if (good == slots_.size()) return failures.empty() ? ok_status() : failures.back().second;
  std::ranges::reverse(failures);
  return ok_status();
}

std::variant<ChosenModel, ApiError> ModelShelf::take(const std::string& name) {
  const auto found = find(name);
  if (const auto* error = std::get_if<ApiError>(&found)) return *error;
  const Wanted wanted = std::get<Wanted>(found);
  std::string full = name_of(slots_[wanted.slot].place, wanted.adapter);
  if (auto model = in_memory(wanted.slot)) return ChosenModel{std::move(model), wanted.adapter, std::move(full)};
  auto loaded = load(wanted.slot);
  if (!loaded.ok()) return refusal(wanted.slot, loaded.status());
  return ChosenModel{*std::move(loaded), wanted.adapter, std::move(full)};
}

// Neither memory nor paths are a client's business; the log has them.
ApiError ModelShelf::refusal(size_t slot, const Status& status) {
  const std::string& name = slots_[slot].place.name;
  if (status.code() == Code::resource_exhausted && too_large(slot).ok()) {
    return {503, fmt::format("there is no room for {} while other models answer; try again later", name), "model",
            "overloaded"};
  }
  log({{"event", "model_failed"}, {"model", name}, {"error", std::string(status.text())}});
  return {500, fmt::format("{} cannot be loaded; the server's log says why", name), "model", "model_unavailable"};
}

Status ModelShelf::too_large(size_t slot) const {
  const std::lock_guard lock(mutex_);
  return slots_[slot].too_large;
}

void ModelShelf::note_failure(size_t slot, const Status& status) {
  const std::lock_guard lock(mutex_);
  ++counts_.failures;
  const bool alone = std::ranges::none_of(slots_, [](const Slot& s) { return s.model != nullptr; });
  if (alone && status.code() == Code::resource_exhausted) slots_[slot].too_large = status;
}

std::variant<ModelShelf::Wanted, ApiError> ModelShelf::find(const std::string& name) const {
  if (name.empty()) return Wanted{0, kNone};
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Place& place = slots_[i].place;
    if (!name.starts_with(place.name)) continue;
    if (name.size() == place.name.size()) return Wanted{i, kNone};
    for (int32_t a = 0; a < std::ssize(place.adapters); ++a)
      if (name == name_of(place, a)) return Wanted{i, a};
  }
  return ApiError{404, "no model of that name is served here; see /v1/models", "model", "model_not_found"};
}

std::shared_ptr<ServedModel> ModelShelf::in_memory(size_t slot) {
  const std::lock_guard lock(mutex_);
  Slot& s = slots_[slot];
  if (s.model != nullptr) s.used = ++clock_;
  return s.model;
}

Result<std::shared_ptr<ServedModel>> ModelShelf::load(size_t slot) {
  const std::lock_guard one_at_a_time(loading_);
  if (auto model = in_memory(slot)) return model;  // somebody else's request has loaded it
  KL_TRY(too_large(slot));
  const auto start = std::chrono::steady_clock::now();
  auto made = slots_[slot].place.load();
  const auto full = [&] { return made.status().code() == Code::resource_exhausted; };
  while (!made.ok() && full() && make_room()) made = slots_[slot].place.load();
  if (!made.ok()) {
    note_failure(slot, made.status());
    return made.status();
  }
  find_family(**made);
  auto model = put(slot, *std::move(made));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  log({{"event", "model_loaded"}, {"model", slots_[slot].place.name}, {"seconds", took.count()}});
  return model;
}

std::shared_ptr<ServedModel> ModelShelf::put(size_t slot, std::unique_ptr<ServedModel> made) {
  const std::lock_guard lock(mutex_);
  Slot& s = slots_[slot];
  s.model = std::move(made);
  s.facts = facts_of(*s.model);
  s.used = ++clock_;
  ++counts_.loads;
  return s.model;
}

// The one to unload, taken from its place: whoever uses a model holds it, and gets it from here, so what only this shelf holds stays unused
// while mutex_ is held. `leaving`: there is none yet, but a model has nothing to do, and whoever still holds it is about to let go.
std::shared_ptr<ServedModel> ModelShelf::take_idle(bool& leaving) {
  const std::lock_guard lock(mutex_);
  Slot* oldest = nullptr;
  leaving = false;
  for (Slot& s : slots_) {
    if (s.model == nullptr) continue;
    if (s.model.use_count() > 1) {
      const SchedulerStats stats = s.model->scheduler->stats();
      leaving = leaving || stats.running + stats.waiting == 0;
    } else if (oldest == nullptr || s.used < oldest->used) {
      oldest = &s;
    }
  }
  if (oldest == nullptr) return nullptr;
  ++counts_.unloads;
  return std::move(oldest->model);
}

bool ModelShelf::make_room() {
  bool leaving = false;
  std::shared_ptr<ServedModel> going = take_idle(leaving);
  for (int i = 0; i < kLooks && going == nullptr && leaving; ++i) {
    std::this_thread::sleep_for(kBetweenLooks);
    going = take_idle(leaving);
  }
  if (going == nullptr) return false;
  const std::string name = going->name;
  going.reset();  // without the lock: its threads are waited for
  log({{"event", "model_unloaded"}, {"model", name}});
  return true;
}

bool ModelShelf::would_load(const std::string& name) const {
  const auto found = find(name);
  const auto* wanted = std::get_if<Wanted>(&found);
  const std::lock_guard lock(mutex_);
  return wanted != nullptr && slots_[wanted->slot].model == nullptr;
}

bool ModelShelf::all_loaded() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(slots_, [](const Slot& s) { return s.model != nullptr; });
}

ModelShelf::Listed ModelShelf::listed(const Slot& slot, int32_t adapter) {
  return {name_of(slot.place, adapter), adapter == kNone ? "" : slot.place.name, slot.facts, slot.model != nullptr};
}

std::vector<ModelShelf::Listed> ModelShelf::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Listed> out;
  for (const Slot& s : slots_) {
    out.push_back(listed(s, kNone));
    for (int32_t a = 0; a < std::ssize(s.place.adapters); ++a) out.push_back(listed(s, a));
  }
  return out;
}

std::variant<ModelShelf::Listed, ApiError> ModelShelf::look_up(const std::string& name) const {
  const auto found = find(name);
  if (const auto* error = std::get_if<ApiError>(&found)) return *error;
  const Wanted wanted = std::get<Wanted>(found);
  const std::lock_guard lock(mutex_);
  return listed(slots_[wanted.slot], wanted.adapter);
}

void ModelShelf::visit(const std::function<void(ServedModel&)>& see) const {
  const std::lock_guard lock(mutex_);
  for (const Slot& s : slots_)
    if (s.model != nullptr) see(*s.model);
}

void ModelShelf::stop() {
  std::vector<std::shared_ptr<ServedModel>> models;
  {
    const std::lock_guard lock(mutex_);
    for (const Slot& s : slots_)
      if (s.model != nullptr) models.push_back(s.model);
  }
  for (const auto& model : models) model->scheduler->stop();
}

ModelShelf::Counts ModelShelf::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace kinglet::server
