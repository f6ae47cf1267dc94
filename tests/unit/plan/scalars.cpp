#include "scalars.h"

#include <flatbuffers/reflection.h>

#include "runtime/base/file.h"

namespace dcc::plan::testing {
namespace {

using reflection::BaseType;

class Walk {
 public:
  Walk(const std::vector<uint8_t>& bytes, const reflection::Schema& schema)
      : bytes_(bytes), schema_(schema) {}

  Fields run() {
    table(*flatbuffers::GetAnyRoot(bytes_.data()), *schema_.root_table(), "", "");
    return std::move(fields_);
  }

 private:
  size_t at(const void* p) const {
    return static_cast<size_t>(static_cast<const uint8_t*>(p) - bytes_.data());
  }
  const reflection::Object& object(int32_t index) const { return *schema_.objects()->Get(index); }

  void scalar(const void* p, BaseType type, const std::string& path, const std::string& field) {
    fields_.scalars.push_back({path, field, at(p), flatbuffers::GetTypeSize(type),
                               type == BaseType::Float || type == BaseType::Double});
  }

  void text(const flatbuffers::String& s, const std::string& path, const std::string& field) {
    fields_.texts.push_back({path, field, at(s.c_str()), s.size()});
  }

  void structure(const uint8_t* p, const reflection::Object& type, const std::string& path,
                 const std::string& field) {
    for (const reflection::Field* f : *type.fields()) {
      std::string name = "." + f->name()->str();
      scalar(p + f->offset(), f->type()->base_type(), path + name, field + name);
    }
  }

  void vector(const flatbuffers::VectorOfAny& v, const reflection::Type& type,
              const std::string& path, const std::string& field) {
    for (uint32_t i = 0; i < v.size(); ++i) {
      std::string element = path + "[" + std::to_string(i) + "]";
      if (type.element() == BaseType::String) {
        text(*flatbuffers::GetAnyVectorElemPointer<const flatbuffers::String>(&v, i), element,
             field);
      } else if (type.element() != BaseType::Obj) {
        scalar(v.Data() + i * flatbuffers::GetTypeSize(type.element()), type.element(), element,
               field);
      } else if (object(type.index()).is_struct()) {
        const reflection::Object& s = object(type.index());
        structure(v.Data() + i * static_cast<size_t>(s.bytesize()), s, element, field);
      } else {
        table(*flatbuffers::GetAnyVectorElemPointer<const flatbuffers::Table>(&v, i),
              object(type.index()), element, field);
      }
    }
  }

  void table(const flatbuffers::Table& t, const reflection::Object& type, const std::string& path,
             const std::string& field) {
    for (const reflection::Field* f : *type.fields()) {
      if (!t.CheckField(f->offset())) continue;
      std::string dot = path.empty() ? "" : ".";
      std::string name = path + dot + f->name()->str(), kind = field + dot + f->name()->str();
      const uint8_t* p = t.GetAddressOf(f->offset());
      switch (f->type()->base_type()) {
        case BaseType::String:
          text(*t.GetPointer<const flatbuffers::String*>(f->offset()), name, kind);
          break;
        case BaseType::Vector:
          vector(*t.GetPointer<const flatbuffers::VectorOfAny*>(f->offset()), *f->type(), name,
                 kind);
          break;
        case BaseType::Union: {
          const reflection::Object& body = flatbuffers::GetUnionType(schema_, type, *f, t);
          table(*t.GetPointer<const flatbuffers::Table*>(f->offset()), body, name,
                kind + "." + body.name()->str().substr(body.name()->str().rfind('.') + 1));
          break;
        }
        case BaseType::Obj:
          if (object(f->type()->index()).is_struct()) {
            structure(p, object(f->type()->index()), name, kind);
          } else {
            table(*t.GetPointer<const flatbuffers::Table*>(f->offset()), object(f->type()->index()),
                  name, kind);
          }
          break;
        default:
          scalar(p, f->type()->base_type(), name, kind);
      }
    }
  }

  const std::vector<uint8_t>& bytes_;
  const reflection::Schema& schema_;
  Fields fields_;
};

}  // namespace

std::vector<uint8_t> serializeAll(const fb::PlanT& plan) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceDefaults(true);
  fb::FinishPlanBuffer(builder, fb::Plan::Pack(builder, &plan));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

Fields fieldsOf(const std::vector<uint8_t>& bytes) {
  std::string schema = readFile(DCC_PLAN_BFBS, 1 << 20).value();
  return Walk(bytes, *reflection::GetSchema(schema.data())).run();
}

}  // namespace dcc::plan::testing
