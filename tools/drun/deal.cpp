#include "tools/drun/deal.h"

#include "tools/drun/stop.h"
#include "tools/drun/wire.h"

namespace dcc::drun {
namespace {

using generate::Finish;
using generate::Request;

// What became of a request.
struct Written {
  std::vector<int32_t> ids;
  Finish why = Finish::kLength;
};

}  // namespace

// Keeps what a replica writes, and ends what has a text that ends it.
class Dealer::Collector final : public generate::Listener {
 public:
  Collector(Communicator& world, const std::optional<text::Tokenizer>& tokenizer,
            const std::vector<std::string>& stop)
      : world_(world), tokenizer_(tokenizer), stop_(stop) {}

  void expect() {
    Entry& entry = entries_.emplace_back();
    entry.stop = StopTexts(stop_);
    if (tokenizer_) entry.stream.emplace(*tokenizer_);
  }
  Written& written(size_t i) { return entries_[i].written; }

  void onStep(const generate::PromptTokens&) override { world_.noteProgress(); }
  bool onToken(uint32_t request, int32_t token) override {
    Entry& entry = entries_[request];
    entry.written.ids.push_back(token);
    if (!entry.stream) return true;
    entry.stop.push(entry.stream->push(token));
    return !entry.stop.hit();
  }
  void onFinish(uint32_t request, Finish why) override { entries_[request].written.why = why; }

 private:
  struct Entry {
    Written written;
    std::optional<text::TextStream> stream;
    StopTexts stop{{}};
  };

  Communicator& world_;
  const std::optional<text::Tokenizer>& tokenizer_;
  const std::vector<std::string>& stop_;
  std::vector<Entry> entries_;
};

Status Dealer::lead(const std::vector<Request>& requests, uint32_t first,
                    generate::Listener& listener) {
  requests_.clear();
  put(requests_, uint64_t{requests.size()});
  put(requests_, uint64_t{first});
  for (const Request& request : requests) {
    put(requests_, request.prompt);
    put(requests_, uint64_t{request.max_new_tokens});
    put(requests_, request.eos);
  }
  Gathered gathered;
  uint64_t bytes = requests_.size();
  DCC_RETURN_IF_ERROR(world_.broadcast(&bytes, sizeof(bytes), 0));
  DCC_RETURN_IF_ERROR(world_.broadcast(requests_.data(), bytes, 0));
  DCC_RETURN_IF_ERROR(write());
  DCC_RETURN_IF_ERROR(gathered.gather(requests_, world_));
  std::vector<Taker> takers;  // by replica
  for (const std::vector<uint32_t>& ranks : replica_.groups) {
    takers.emplace_back(gathered.of(ranks.front()));
  }
  for (uint32_t i = 0; i < requests.size() && !listener.stopped(); ++i) {
    Taker& from = takers[i % replica_.count];
    const auto why = static_cast<Finish>(from.number());
    for (const int32_t id : from.list<int32_t>()) listener.onToken(first + i, id);
    listener.onFinish(first + i, why);
  }
  return Status::success();
}

Status Dealer::dismiss() {
  uint64_t bytes = 0;
  return world_.broadcast(&bytes, sizeof(bytes), 0);
}

Status Dealer::follow() {
  for (;;) {
    uint64_t bytes = 0;
    DCC_RETURN_IF_ERROR(world_.broadcast(&bytes, sizeof(bytes), 0));
    if (bytes == 0) return Status::success();
    requests_.resize(bytes);
    DCC_RETURN_IF_ERROR(world_.broadcast(requests_.data(), bytes, 0));
    DCC_RETURN_IF_ERROR(write());
    Gathered gathered;
    DCC_RETURN_IF_ERROR(gathered.gather(requests_, world_));
  }
}

Status Dealer::write() {
  Taker from(requests_);
  if (world_.rank() != replica_.groups[replica_.index].front()) {
    requests_.clear();
    return loop_.follow();
  }
  if (!stop_.empty() && !tokenizer_) {
    DCC_ASSIGN(tokenizer_, text::Tokenizer::fromFile(dir_ + "/tokenizer.json"));
  }
  DCC_ASSIGN(generate::Scheduler scheduler,
             generate::Scheduler::create(limits_, generate::StepKind::kGenerate));
  Collector collector(world_, tokenizer_, stop_);
  const uint64_t count = from.number();
  const auto first = static_cast<uint32_t>(from.number());
  size_t own = 0;
  for (uint64_t i = 0; i < count; ++i) {
    Request request;
    request.prompt = from.list<int32_t>();
    request.max_new_tokens = static_cast<uint32_t>(from.number());
    request.eos = from.list<int32_t>();
    request.draws = first + static_cast<uint32_t>(i);
    if (!replica_.has(i)) continue;
    DCC_RETURN_IF_ERROR(scheduler.add(std::move(request), "prompt " + std::to_string(i + 1)));
    collector.expect();
    ++own;
  }
  DCC_RETURN_IF_ERROR(loop_.lead(scheduler, collector));
  DCC_RETURN_IF_ERROR(loop_.dismiss());
  requests_.clear();
  for (size_t i = 0; i < own; ++i) {
    put(requests_, static_cast<uint64_t>(collector.written(i).why));
    put(requests_, collector.written(i).ids);
  }
  return Status::success();
}

}  // namespace dcc::drun
