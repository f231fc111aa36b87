// The models that a server has, by name, under one memory budget: a model is loaded when a request asks for it, and where there is no room
// the one that was unused for longest and answers nobody is unloaded.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "formats/json.h"
#include "server/api_error.h"
#include "server/served_model.h"

namespace kinglet::server {

/// Any thread, once it is filled.
class ModelShelf {
 public:
  struct Place {
    std::string name;
    std::vector<std::string> adapters{};  ///< which can be chosen, by name
    /// One at a time. Errors: resource_exhausted where the memory ledger is full, and the readers' own.
    std::function<Result<std::unique_ptr<ServedModel>>()> load;
  };
  /// Errors: invalid_argument where there is one of that name.
  Status add(Place place);

  /// Loads each model once, so that what is wrong with one shows at once and what is to be told of all is known; unloads on the way where
  /// there is no room for all. The first is in memory then. A model that cannot be loaded is what requests for it are told, and no
  /// hindrance for others: `failures` gets its name and the reason. Errors: of the first model that cannot be loaded, where no other can.
  Status load_all(std::vector<std::pair<std::string, Status>>& failures);
  /// Gets what is loaded and unloaded from now on, for the log.
  void tell(std::function<void(Json)> log) { log_ = std::move(log); }

  /// The model that `name` names, the first where it is empty, loaded at need: that may take seconds. Errors: 404; 503 where the others
  /// answer and leave no room; 500 where it cannot be loaded.
  std::variant<ChosenModel, ApiError> take(const std::string& name);
  /// Whether take() would have to load it.
  bool would_load(const std::string& name) const;
  bool all_loaded() const;
  /// Unloads the model that was unused for longest of those that answer nobody; false where there is none.
  bool make_room();

  /// A name that requests may use.
  struct Listed {
    std::string name, parent;  ///< parent: of an adapter
    ModelFacts facts;
    bool loaded = false;
  };
  /// All names, adapters' behind their model's.
  std::vector<Listed> list() const;
  /// Errors: 404.
  std::variant<Listed, ApiError> look_up(const std::string& name) const;
  /// Each model that is in memory; `see` must be quick, and call nothing here.
  void visit(const std::function<void(ServedModel&)>& see) const;
  /// Ends all answers.
  void stop();

  struct Counts {
    uint64_t loads = 0, unloads = 0, failures = 0;  ///< failures: to load
  };
  Counts counts() const;

 private:
  struct Slot {
    Place place;
    ModelFacts facts{};
    std::shared_ptr<ServedModel> model{};
    uint64_t used = 0;  ///< the greater the later
    Status too_large;   ///< where alone it does not fit, so that nobody is unloaded for it again
  };
  struct Wanted {
    size_t slot;
    int32_t adapter;
  };
  std::variant<Wanted, ApiError> find(const std::string& name) const;
  static Listed listed(const Slot& slot, int32_t adapter);
  std::shared_ptr<ServedModel> in_memory(size_t slot);
  std::shared_ptr<ServedModel> take_idle(bool& leaving);
  Result<std::shared_ptr<ServedModel>> load(size_t slot);
  std::shared_ptr<ServedModel> put(size_t slot, std::unique_ptr<ServedModel> made);
  ApiError refusal(size_t slot, const Status& status);
  Status too_large(size_t slot) const;
  void note_failure(size_t slot, const Status& status);
  void log(Json entry) const {
    if (log_) log_(std::move(entry));
  }

  std::function<void(Json)> log_;
  std::mutex loading_;        ///< held while one loads
  mutable std::mutex mutex_;  ///< of all that follows; held for moments
  std::vector<Slot> slots_;   ///< those that there are: fixed once filled
  uint64_t clock_ = 0;
  Counts counts_;
};

}  // namespace kinglet::server
