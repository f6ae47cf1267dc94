// The syntax tree of a template: what its expressions evaluate to and its statements do. Nodes
// belong to the tree, point to each other, and never change once the template is parsed.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/run.h"
#include "runtime/text/jinja/scope.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

class Node {
 public:
  virtual ~Node() = default;
  uint32_t line = 0;
};

class Expression : public Node {
 public:
  // Error: see FailureKind; the run knows the line.
  Result<Value> evaluate(Run& run, Scope& scope) const;

 private:
  virtual Result<Value> compute(Run& run, Scope& scope) const = 0;
};

// What the parser knows of the variables of a scope.
//
// Jinja decides before it runs where a variable belongs. One that a block sets, without a condition
// and before it reads it, is the block's own: until it is set it is undefined for the blocks within
// too, also where the template was given a variable of that name.
struct Frame final : Node {
  Frame* outer = nullptr;
  std::set<std::string, std::less<>> mentioned;
  std::vector<std::string> fresh;  // set before they are read
  int conditions = 0;              // while it is parsed: how many `if` are around

  void load(const std::string& name) { mentioned.insert(name); }
  void store(const std::string& name) {
    if (mentioned.insert(name).second && conditions == 0) fresh.push_back(name);
  }
  // Once all frames are parsed: what a frame around mentions is its.
  void settle();
  // Begins the scope with its own variables.
  void begin(Scope& scope) const;
};

// A scope of a block, for as long as it is executed.
class Block {
 public:
  Block(const Scope& outer, const Frame& frame);
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { scope_->close(); }
  Scope& scope() { return *scope_; }

 private:
  std::shared_ptr<Scope> scope_;
};

// How a statement ended.
enum class Flow { kNext, kBreak, kContinue };

class Statement : public Node {
 public:
  Result<Flow> execute(Run& run, Scope& scope, TextBuilder& out) const;

 private:
  virtual Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const = 0;
};

using Statements = std::vector<const Statement*>;

// One after the other, until one breaks.
Result<Flow> executeAll(const Statements& statements, Run& run, Scope& scope, TextBuilder& out);

// What stands in a block, with a scope of its own.
struct Body {
  const Frame* frame = nullptr;
  Statements statements;

  // The text that they write.
  Result<std::string> text(Run& run, const Scope& outer) const;
};

// Owns the nodes. Flat, so that no depth of a tree is one of recursion when it is destroyed.
class Tree {
 public:
  template <class T>
  T* make(uint32_t line) {
    auto node = std::make_unique<T>();
    T* made = node.get();
    made->line = line;
    nodes_.push_back(std::move(node));
    return made;
  }

 private:
  std::vector<std::unique_ptr<Node>> nodes_;
};

// Behind the name of a function, filter or test.
struct CallArguments {
  std::vector<const Expression*> positional;
  std::vector<std::pair<std::string, const Expression*>> named;
  const Expression* more_positional = nullptr;  // *args
  const Expression* more_named = nullptr;       // **kwargs

  Result<Arguments> evaluate(Run& run, Scope& scope) const;
};

// What `set` and `for` assign to: a name, a field of a namespace, or several of them.
struct Target {
  std::string name;
  std::string field;            // "": the variable itself
  std::vector<Target> several;  // then the name is ""
  bool is_several = false;

  // Error: not as many values as names; a field of what is no namespace.
  Status assign(Run& run, Scope& scope, const Value& value) const;
  // What was assigned, several as a tuple.
  Value read(Run& run, const Scope& scope) const;
};

}  // namespace dcc::jinja
