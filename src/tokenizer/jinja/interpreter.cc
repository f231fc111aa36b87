#include "tokenizer/jinja/interpreter.h"

#include <algorithm>
#include <unordered_map>

#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"

namespace kinglet::jinja {
namespace {

/// Names that a block sees: its own, then those of the blocks around it where it stands in the source.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> outer) : parent(std::move(outer)) {}
  std::unordered_map<std::string, Value> names;
  std::shared_ptr<Scope> parent;

  const Value* find(const std::string& name) const {
    for (const Scope* scope = this; scope; scope = scope->parent.get()) {
      if (const auto it = scope->names.find(name); it != scope->names.end()) return &it->second;
    }
    return nullptr;
  }
};

/// What a running for-loop tells about itself.
struct LoopState {
  std::vector<Value> items;
  size_t index = 0;
  int depth = 0;
  bool changed_before = false;
  std::vector<Value> last_changed;
};

enum class Flow : uint8_t { normal, break_loop, next_round };

class Interpreter {
 public:
  Interpreter(Heap& heap, int64_t now_unix)
      : heap_(heap), runtime_{heap, now_unix}, scope_(std::make_shared<Scope>(nullptr)) {}
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  ~Interpreter() {
    // Macros hold the scopes that hold them, and a namespace may hold itself.
    for (const auto& scope : captured_) {
      if (const auto alive = scope.lock()) alive->names.clear();
    }
    for (const auto& space : spaces_) {
      if (const auto alive = space.lock()) std::static_pointer_cast<Space>(alive)->attributes.clear();
    }
  }

  std::string run(const Ast& ast, const Json& variables) {
    try {
      for (const auto& [name, value] : variables.items()) scope_->names[name] = from_json(heap_, value);
      // apply_chat_template always passes these, so that templates see them even where nothing was given.
      for (const char* name : {"tools", "documents"}) scope_->names.try_emplace(name, Value::none());
      scope_->names.try_emplace("add_generation_prompt", Value::of(false));
      scope_ = std::make_shared<Scope>(scope_);
      execute(ast.body);
    } catch (Failure& failure) {
      if (failure.line == 0) failure.line = line_;
      throw;
    }
    return std::move(out_);
  }

 private:
  // -- output and scopes --

  void write(std::string_view text) {
    heap_.step(text.size() / 64);
    if (out_.size() + text.size() > heap_.limits().max_output_bytes) {
      raise_limit("the template writes more than {} bytes", heap_.limits().max_output_bytes);
    }
    out_ += text;
  }

  /// Runs `body` and gives what it wrote.
  template <typename Body>
  std::string capture(Body&& body) {
    std::string outer = std::exchange(out_, {});
    body();
    return std::exchange(out_, std::move(outer));
  }

  /// A scope of its own for as long as it lives.
  class Inner {
   public:
    Inner(Interpreter& interpreter, std::shared_ptr<Scope> parent)
        : interpreter_(interpreter),
          outer_(std::exchange(interpreter.scope_, std::make_shared<Scope>(std::move(parent)))) {}
    explicit Inner(Interpreter& interpreter) : Inner(interpreter, interpreter.scope_) {}
    ~Inner() { interpreter_.scope_ = std::move(outer_); }
    Inner(const Inner&) = delete;
    Inner& operator=(const Inner&) = delete;

   private:
    Interpreter& interpreter_;
    std::shared_ptr<Scope> outer_;
  };

  Value look_up(const std::string& name) {
    if (const Value* found = scope_->find(name)) return *found;
    return global(runtime_, name);
  }

  // -- statements --

  Flow execute(const Body& body) {
    for (const Stmt* stmt : body) {
      if (const Flow flow = execute(*stmt); flow != Flow::normal) return flow;
    }
    return Flow::normal;
  }

  Flow execute(const Stmt& stmt) {
    const Heap::Level level(heap_);
    heap_.step();
    line_ = stmt.line;
    switch (stmt.kind) {
      case Stmt::Kind::data:
        write(stmt.text);
        break;
      case Stmt::Kind::print:
        for (const Expr* expr : stmt.exprs) print(evaluate(*expr));
        break;
      case Stmt::Kind::if_:
        return branch(stmt);
      case Stmt::Kind::for_:
        loop(stmt, evaluate(*stmt.exprs[0]), 0);
        break;
      case Stmt::Kind::set:
        assign(*stmt.target, evaluate(*stmt.exprs[0]));
        break;
      case Stmt::Kind::set_block:
        set_block(stmt);
        break;
      case Stmt::Kind::macro:
        scope_->names[stmt.text] = make_macro(stmt, stmt.text);
        break;
      case Stmt::Kind::call_block:
        call_block(stmt);
        break;
      case Stmt::Kind::filter_block:
        print(evaluate_filter(*stmt.exprs[0], block_text(stmt)));
        break;
      case Stmt::Kind::with:
        return with(stmt);
      case Stmt::Kind::generation: {
        const Inner inner(*this);
        return execute(stmt.bodies[0]);
      }
      case Stmt::Kind::break_:
        return Flow::break_loop;
      case Stmt::Kind::continue_:
        return Flow::next_round;
    }
    return Flow::normal;
  }

  void print(const Value& value) {
    if (value.is_text()) write(value.string());
    else write(to_str(heap_, value));
  }

  Flow branch(const Stmt& stmt) {
    for (size_t i = 0; i < stmt.exprs.size(); ++i) {
      if (truth(evaluate(*stmt.exprs[i]))) return execute(stmt.bodies[i]);
    }
    return stmt.bodies.size() > stmt.exprs.size() ? execute(stmt.bodies.back()) : Flow::normal;
  }

  Flow with(const Stmt& stmt) {
    std::vector<Value> values;
    for (const Expr* expr : stmt.exprs) values.push_back(evaluate(*expr));
    const Inner inner(*this);
    for (size_t i = 0; i < values.size(); ++i) assign(*stmt.targets[i], values[i]);
    return execute(stmt.bodies[0]);
  }

  /// What a block's body writes, in a scope of its own.
  Value block_text(const Stmt& stmt) {
    const Inner inner(*this);
    return make_text(heap_, capture([&] { execute(stmt.bodies[0]); }));
  }

  void set_block(const Stmt& stmt) {
    Value text = block_text(stmt);
    if (stmt.exprs[0]) text = evaluate_filter(*stmt.exprs[0], text);
    assign(*stmt.target, text);
  }

  void assign(const Expr& target, const Value& value) {
    if (target.kind == Expr::Kind::name) {
      scope_->names[target.text] = value;
    } else if (target.kind == Expr::Kind::space_attribute) {
      assign_attribute(target, value);
    } else {
      unpack(target, value);
    }
  }

  void assign_attribute(const Expr& target, const Value& value) {
    const Value object = look_up(target.text);
    line_ = target.line;
    if (object.is_undefined()) raise_undefined(object);
    if (!object.is(Value::Kind::space))
      raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
    auto& attributes = object.space().attributes;
    const auto it = std::find_if(attributes.begin(), attributes.end(),
                                 [&](const auto& entry) { return entry.first == target.attribute; });
    if (it != attributes.end()) it->second = value;
    else attributes.emplace_back(target.attribute, value);
  }

  void unpack(const Expr& target, const Value& value) {
    if (!is_iterable(value)) raise("TypeError", "cannot unpack non-iterable {} object", type_name(value));
    const std::vector<Value> items = iterate(heap_, value);
    const size_t wanted = target.children.size();
    if (items.size() < wanted)
      raise("ValueError", "not enough values to unpack (expected {}, got {})", wanted, items.size());
    if (items.size() > wanted) raise("ValueError", "too many values to unpack (expected {})", wanted);
    for (size_t i = 0; i < wanted; ++i) assign(*target.children[i], items[i]);
  }

  // -- loops --

  void loop(const Stmt& stmt, const Value& iterable, int depth) {
    line_ = stmt.line;
    auto state = std::make_shared<LoopState>();
    state->items = iterate(heap_, iterable);
    state->depth = depth;
    if (stmt.exprs[1]) keep_if(stmt, state->items);
    if (state->items.empty()) {
      const Inner inner(*this);
      execute(stmt.bodies[1]);
      return;
    }
    const Value object = loop_object(stmt, state);
    for (; state->index < state->items.size(); ++state->index) {
      const Inner inner(*this);
      heap_.step();
      scope_->names["loop"] = object;
      assign(*stmt.target, state->items[state->index]);
      if (execute(stmt.bodies[0]) == Flow::break_loop) break;
    }
  }

  /// The elements for which the loop's own condition holds.
  void keep_if(const Stmt& stmt, std::vector<Value>& items) {
    std::vector<Value> kept;
    for (Value& item : items) {
      const Inner inner(*this);
      assign(*stmt.target, item);
      if (truth(evaluate(*stmt.exprs[1]))) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }

  Value loop_object(const Stmt& stmt, const std::shared_ptr<LoopState>& state) {
    auto object = std::make_shared<Function>(heap_, "LoopContext", "<LoopContext>");
    object->attribute = [this, state](std::string_view name) { return loop_attribute(state, name); };
    // Where the loop stands in the source: what it calls itself with runs there, whoever calls it.
    const std::shared_ptr<Scope> home = stmt.recursive ? capture_scope() : nullptr;
    object->call = [this, &stmt, state, home](Arguments& arguments) {
      if (!stmt.recursive) raise("TypeError", "The loop must have the 'recursive' marker to be called recursively.");
      const Bound args("loop", arguments, {"iterable"}, 1);
      const Value inner_items = args[0];
      const Inner inner(*this, home);
      return make_text(heap_, capture([&] { loop(stmt, inner_items, state->depth + 1); }));
    };
    return {Value::Kind::function, std::move(object)};
  }

  Value loop_attribute(const std::shared_ptr<LoopState>& state, std::string_view name) {
    const size_t index = state->index;
    const size_t size = state->items.size();
    if (name == "index") return Value::of(index + 1);
    if (name == "index0") return Value::of(index);
    if (name == "revindex") return Value::of(size - index);
    if (name == "revindex0") return Value::of(size - index - 1);
    if (name == "first") return Value::of(index == 0);
    if (name == "last") return Value::of(index + 1 == size);
    if (name == "length") return Value::of(size);
    if (name == "depth") return Value::of(state->depth + 1);
    if (name == "depth0") return Value::of(state->depth);
    if (name == "previtem")
      return index > 0 ? state->items[index - 1] : make_undefined(heap_, "there is no previous item");
    if (name == "nextitem")
      return index + 1 < size ? state->items[index + 1] : make_undefined(heap_, "there is no next item");
    if (name == "cycle") return cycle(state);
    if (name == "changed") return changed(state);
    return {};
  }

  Value cycle(const std::shared_ptr<LoopState>& state) {
    return make_function(heap_, "method", "<bound method LoopContext.cycle>", [state](Arguments& arguments) {
      if (arguments.positional.empty()) raise("TypeError", "no items for cycling given");
      return arguments.positional[state->index % arguments.positional.size()];
    });
  }

  Value changed(const std::shared_ptr<LoopState>& state) {
    return make_function(heap_, "method", "<bound method LoopContext.changed>", [this, state](Arguments& arguments) {
      const auto& now = arguments.positional;
      bool same = state->changed_before && now.size() == state->last_changed.size();
      for (size_t i = 0; same && i < now.size(); ++i) same = equal(heap_, now[i], state->last_changed[i]);
      state->changed_before = true;
      state->last_changed = now;
      return Value::of(!same);
    });
  }

  // -- macros --

  /// The scope of here and now, for something that outlives it.
  std::shared_ptr<Scope> capture_scope() {
    remember(captured_, scope_);
    return scope_;
  }

  Value make_macro(const Stmt& stmt, const std::string& name) {
    const std::shared_ptr<Scope> home = capture_scope();
    auto macro =
        std::make_shared<Function>(heap_, "Macro", name.empty() ? "<Macro anonymous>" : "<Macro " + quote(name) + ">");
    macro->call = [this, &stmt, name, home](Arguments& arguments) { return call_macro(stmt, name, home, arguments); };
    macro->attribute = [this, &stmt, name](std::string_view attribute) -> Value {
      if (attribute == "name") return make_text(heap_, name);
      if (attribute != "arguments") return {};
      std::vector<Value> names;
      for (const std::string& parameter : stmt.signature.names) names.push_back(make_text(heap_, parameter));
      return make_tuple(heap_, std::move(names));
    };
    return {Value::Kind::function, std::move(macro)};
  }

  Value call_macro(const Stmt& stmt, const std::string& name, const std::shared_ptr<Scope>& home,
                   Arguments& arguments) {
    const Inner inner(*this, home);
    const int line = line_;
    bind_parameters(stmt, name, arguments);
    std::string text = capture([&] { execute(stmt.bodies[0]); });
    line_ = line;
    return make_text(heap_, std::move(text));
  }

  void bind_parameters(const Stmt& stmt, const std::string& name, Arguments& arguments) {
    const Signature& signature = stmt.signature;
    const size_t first_default = signature.names.size() - signature.defaults.size();
    for (size_t i = 0; i < signature.names.size(); ++i) {
      const std::string& parameter = signature.names[i];
      std::optional<Value> given = take_named(arguments, parameter, i < arguments.positional.size());
      if (i < arguments.positional.size()) scope_->names[parameter] = arguments.positional[i];
      else if (given) scope_->names[parameter] = *given;
      else if (i >= first_default) scope_->names[parameter] = evaluate(*signature.defaults[i - first_default]);
      else
        scope_->names[parameter] =
            make_undefined(heap_, fmt::format("parameter {} was not provided", quote(parameter)));
    }
    const bool named_caller =
        std::find(signature.names.begin(), signature.names.end(), "caller") != signature.names.end();
    if (stmt.uses_caller && !named_caller) {
      const std::optional<Value> caller = take_named(arguments, "caller", false);
      scope_->names["caller"] = caller ? *caller : make_undefined(heap_, "No caller defined");
    }
    bind_rest(stmt, name, arguments);
  }

  /// The keyword argument of that name, taken out. With `keep` it stays: a position has filled the parameter already.
  static std::optional<Value> take_named(Arguments& arguments, const std::string& name, bool keep) {
    const auto it = std::find_if(arguments.named.begin(), arguments.named.end(),
                                 [&](const auto& entry) { return entry.first == name; });
    if (keep || it == arguments.named.end()) return std::nullopt;
    Value value = std::move(it->second);
    arguments.named.erase(it);
    return value;
  }

  /// Arguments beyond the parameters: only a macro that mentions varargs or kwargs takes them.
  void bind_rest(const Stmt& stmt, const std::string& name, Arguments& arguments) {
    const std::string who = name.empty() ? "None" : quote(name);
    if (stmt.uses_kwargs) {
      std::vector<Dict::Entry> entries;
      for (auto& [key, value] : arguments.named) entries.emplace_back(make_text(heap_, key), value);
      scope_->names["kwargs"] = make_dict(heap_, std::move(entries));
    } else if (!arguments.named.empty()) {
      if (arguments.named.front().first == "caller") {
        raise("TypeError",
              "macro {} was invoked with two values for the special caller argument. This is most likely a bug.", who);
      }
      raise("TypeError", "macro {} takes no keyword argument {}", who, quote(arguments.named.front().first));
    }
    const size_t taken = std::min(stmt.signature.names.size(), arguments.positional.size());
    std::vector<Value> rest(arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken),
                            arguments.positional.end());
    if (stmt.uses_varargs) scope_->names["varargs"] = make_tuple(heap_, std::move(rest));
    else if (!rest.empty())
      raise("TypeError", "macro {} takes not more than {} argument(s)", who, stmt.signature.names.size());
  }

  void call_block(const Stmt& stmt) {
    const Expr& call = *stmt.exprs[0];
    const Value caller = make_macro(stmt, "");
    const Value callee = evaluate(*call.children[0]);
    Arguments arguments = evaluate_arguments(call);
    arguments.named.emplace_back("caller", caller);
    print(call_value(call, callee, arguments));
  }

  // -- expressions --

  Value evaluate(const Expr& expr) {
    const Heap::Level level(heap_);
    heap_.step();
    switch (expr.kind) {
      case Expr::Kind::constant:
        return expr.value;
      case Expr::Kind::name:
        line_ = expr.line;
        return look_up(expr.text);
      case Expr::Kind::list:
        return make_list(heap_, evaluate_all(expr.children));
      case Expr::Kind::tuple:
        return make_tuple(heap_, evaluate_all(expr.children));
      case Expr::Kind::dict:
        return evaluate_dict(expr);
      case Expr::Kind::negate:
        return negate(evaluate(*expr.children[0]));
      case Expr::Kind::posit:
        return posit(evaluate(*expr.children[0]));
      case Expr::Kind::logical_not:
        return Value::of(!truth(evaluate(*expr.children[0])));
      case Expr::Kind::arithmetic:
        return evaluate_arithmetic(expr);
      case Expr::Kind::concat:
        return evaluate_concat(expr);
      case Expr::Kind::logical_and:
        return evaluate_logical(expr, false);
      case Expr::Kind::logical_or:
        return evaluate_logical(expr, true);
      case Expr::Kind::compare:
        return evaluate_compare(expr);
      case Expr::Kind::conditional:
        return evaluate_conditional(expr);
      case Expr::Kind::attribute:
        return evaluate_attribute(expr);
      case Expr::Kind::item:
        return evaluate_item(expr);
      case Expr::Kind::call:
        return evaluate_call(expr);
      case Expr::Kind::filter:
        return evaluate_filter(expr, evaluate(*expr.children[0]));
      case Expr::Kind::test:
        return evaluate_test(expr);
      case Expr::Kind::slice:
      case Expr::Kind::space_attribute:
        break;
    }
    raise("TemplateRuntimeError", "this expression has no value of its own");
  }

  std::vector<Value> evaluate_all(const std::vector<const Expr*>& exprs) {
    std::vector<Value> out;
    out.reserve(exprs.size());
    for (const Expr* expr : exprs) out.push_back(evaluate(*expr));
    return out;
  }

  Value evaluate_dict(const Expr& expr) {
    std::vector<Dict::Entry> entries;
    for (size_t i = 0; i < expr.children.size(); i += 2) {
      Value key = evaluate(*expr.children[i]);
      entries.emplace_back(std::move(key), evaluate(*expr.children[i + 1]));
    }
    line_ = expr.line;
    return make_dict(heap_, std::move(entries));
  }

  Value evaluate_arithmetic(const Expr& expr) {
    Value out = evaluate(*expr.children[0]);
    for (size_t i = 0; i < expr.ops.size(); ++i) {
      const Value right = evaluate(*expr.children[i + 1]);
      line_ = expr.children[i + 1]->line;
      out = arithmetic(heap_, expr.ops[i], out, right);
    }
    return out;
  }

  Value evaluate_concat(const Expr& expr) {
    std::string out;
    for (const Expr* child : expr.children) {
      out += to_str(heap_, evaluate(*child));
      heap_.expect(out.size());
    }
    return make_text(heap_, std::move(out));
  }

  /// `stop` is the truth that settles it: true for or, false for and.
  Value evaluate_logical(const Expr& expr, bool stop) {
    for (size_t i = 0; i + 1 < expr.children.size(); ++i) {
      Value value = evaluate(*expr.children[i]);
      if (truth(value) == stop) return value;
    }
    return evaluate(*expr.children.back());
  }

  Value evaluate_compare(const Expr& expr) {
    Value left = evaluate(*expr.children[0]);
    for (size_t i = 0; i < expr.ops.size(); ++i) {
      Value right = evaluate(*expr.children[i + 1]);
      line_ = expr.line;
      if (!compare(heap_, expr.ops[i], left, right)) return Value::of(false);
      left = std::move(right);
    }
    return Value::of(true);
  }

  Value evaluate_conditional(const Expr& expr) {
    if (truth(evaluate(*expr.children[0]))) return evaluate(*expr.children[1]);
    if (expr.children[2]) return evaluate(*expr.children[2]);
    return make_undefined(
        heap_, fmt::format("the inline if-expression on line {} evaluated to false and no else section was defined.",
                           expr.line));
  }

  Value evaluate_attribute(const Expr& expr) {
    const Value object = evaluate(*expr.children[0]);
    line_ = expr.line;
    return get_attribute(runtime_, object, expr.text);
  }

  Value evaluate_item(const Expr& expr) {
    const Value object = evaluate(*expr.children[0]);
    const Expr& key = *expr.children[1];
    if (key.kind != Expr::Kind::slice) {
      const Value index = evaluate(key);
      line_ = expr.line;
      return get_item(runtime_, object, index);
    }
    const auto bound = [this, &key](size_t i) { return key.children[i] ? evaluate(*key.children[i]) : Value::none(); };
    const Value start = bound(0);
    const Value stop = bound(1);
    const Value step = bound(2);
    line_ = expr.line;
    return get_slice(runtime_, object, start, stop, step);
  }

  Arguments evaluate_arguments(const Expr& expr) {
    Arguments out;
    for (size_t i = 1; i < expr.children.size(); ++i) out.positional.push_back(evaluate(*expr.children[i]));
    for (const auto& [name, value] : expr.named) {
      const auto same = [&name = name](const auto& entry) { return entry.first == name; };
      if (std::any_of(out.named.begin(), out.named.end(), same))
        raise("TypeError", "keyword argument repeated: {}", name);
      out.named.emplace_back(name, evaluate(*value));
    }
    if (expr.star) {
      for (Value& item : iterate(heap_, evaluate(*expr.star))) out.positional.push_back(std::move(item));
    }
    if (expr.star_star) {
      const Value more = evaluate(*expr.star_star);
      if (!more.is(Value::Kind::dict))
        raise("TypeError", "argument after ** must be a mapping, not {}", type_name(more));
      for (const auto& [key, value] : more.dict().entries) out.named.emplace_back(to_str(heap_, key), value);
    }
    return out;
  }

  /// Calls of a value's method need no object for the method.
  Value evaluate_call(const Expr& expr) {
    const Expr& callee = *expr.children[0];
    if (callee.kind == Expr::Kind::attribute) {
      const Value object = evaluate(*callee.children[0]);
      line_ = callee.line;
      if (object.is_undefined()) raise_undefined(object);
      if (has_method(object, callee.text)) {
        Arguments arguments = evaluate_arguments(expr);
        line_ = expr.line;
        return call_method(runtime_, object, callee.text, arguments);
      }
      const Value function = get_attribute(runtime_, object, callee.text);
      Arguments arguments = evaluate_arguments(expr);
      return call_value(expr, function, arguments);
    }
    const Value function = evaluate(callee);
    Arguments arguments = evaluate_arguments(expr);
    return call_value(expr, function, arguments);
  }

  Value call_value(const Expr& expr, const Value& function, Arguments& arguments) {
    line_ = expr.line;
    if (function.is_undefined()) raise_undefined(function);
    if (!function.is(Value::Kind::function) || !function.function().call) {
      raise("TypeError", "'{}' object is not callable", type_name(function));
    }
    Value out = function.function().call(arguments);
    if (out.is(Value::Kind::space)) remember(spaces_, out.shared_object());
    line_ = expr.line;
    return out;
  }

  /// Keeps track of `object`, and forgets those that are gone each time their number has doubled.
  template <typename T>
  static void remember(std::vector<std::weak_ptr<T>>& list, const std::shared_ptr<T>& object) {
    if (list.size() == list.capacity()) std::erase_if(list, [](const auto& entry) { return entry.expired(); });
    if (list.size() == list.capacity()) list.reserve(2 * list.size() + 16);
    list.push_back(object);
  }

  Value evaluate_filter(const Expr& expr, const Value& value) {
    // In a chain that heads a filter block, the innermost filter takes the block's text.
    Value subject = value;
    if (expr.children[0] && expr.children[0]->kind == Expr::Kind::filter && heads_block(*expr.children[0])) {
      subject = evaluate_filter(*expr.children[0], value);
    }
    Arguments arguments = evaluate_arguments(expr);
    line_ = expr.line;
    if (!is_filter(expr.text)) raise_unknown(expr);
    return apply_filter(runtime_, expr.text, subject, arguments);
  }

  static bool heads_block(const Expr& expr) {
    const Expr* filter = &expr;
    while (filter->children[0] && filter->children[0]->kind == Expr::Kind::filter) filter = filter->children[0];
    return filter->children[0] == nullptr;
  }

  Value evaluate_test(const Expr& expr) {
    const Value value = evaluate(*expr.children[0]);
    Arguments arguments = evaluate_arguments(expr);
    line_ = expr.line;
    if (!is_test(expr.text)) raise_unknown(expr);
    return Value::of(apply_test(runtime_, expr.text, value, arguments));
  }

  Heap& heap_;
  Runtime runtime_;
  std::shared_ptr<Scope> scope_;
  std::vector<std::weak_ptr<Scope>> captured_;
  std::vector<std::weak_ptr<Object>> spaces_;
  std::string out_;
  int line_ = 1;
};

}  // namespace

std::string render(const Ast& ast, Heap& heap, const Json& variables, int64_t now_unix) {
  return Interpreter(heap, now_unix).run(ast, variables);
}

}  // namespace kinglet::jinja
