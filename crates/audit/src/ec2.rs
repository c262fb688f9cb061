//! EC2's records keep the shape of its first XML interface: sets with items.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-with-cloudtrail.html>

use crate::render::{Camel, Style, camel, render};
use serde_json::{Map, Value as Json, json};
use wire::{Member, Schema, Value};

/// Answers: names as on the wire, lists as `{"items": [...]}`.
struct Sets;

impl Style for Sets {
    fn name(member: &Member) -> String {
        camel(member.wire)
    }
    fn list(items: Vec<Json>) -> Json {
        json!({ "items": items })
    }
}

/// `responseElements`.
pub(crate) fn response(schema: &Schema, output: &Value, request_id: &str) -> Json {
    let mut out = Map::new();
    out.insert("requestId".to_owned(), Json::from(request_id));
    match render::<Sets>(schema, output) {
        Json::Object(members) if !members.is_empty() => out.extend(members),
        // Calls that answer nothing say at least that they worked.
        _ => drop(out.insert("_return".to_owned(), Json::from(true))),
    }
    Json::Object(out)
}

/// `requestParameters`.
pub(crate) fn request(operation: &str, schema: &Schema, input: &Value) -> Json {
    let Value::Struct(members) = input else { return Json::Null };
    let mut out = Map::new();
    for (name, value) in members {
        let Some(member) = schema.members().iter().find(|member| member.name == *name) else { continue };
        let (key, json) = parameter(member, value);
        merge(&mut out, key, json);
    }
    if operation == "RunInstances" {
        launch(&mut out);
    }
    Json::Object(out)
}

fn parameter(member: &Member, value: &Value) -> (String, Json) {
    let plain = render::<Camel>(member.schema, value);
    let of =
        |key: &str| json!({ "items": elements(&plain).iter().map(|item| json!({ key: item })).collect::<Vec<_>>() });
    match member.name {
        "InstanceIds" => ("instancesSet".to_owned(), of("instanceId")),
        "Resources" => ("resourcesSet".to_owned(), of("resourceId")),
        "SecurityGroupIds" => ("groupSet".to_owned(), of("groupId")),
        "SecurityGroups" => ("groupSet".to_owned(), of("groupName")),
        "Tags" => ("tagSet".to_owned(), json!({ "items": plain })),
        "TagSpecifications" => ("tagSpecificationSet".to_owned(), json!({ "items": plain })),
        "Filters" => {
            ("filterSet".to_owned(), json!({ "items": elements(&plain).iter().map(filter).collect::<Vec<_>>() }))
        }
        name => (camel(name), plain),
    }
}

fn filter(filter: &Json) -> Json {
    let values = filter["values"].as_array().map_or(&[][..], Vec::as_slice);
    json!({
        "name": filter["name"],
        "valueSet": { "items": values.iter().map(|value| json!({ "value": value })).collect::<Vec<_>>() },
    })
}

fn elements(list: &Json) -> &[Json] {
    list.as_array().map_or(&[][..], Vec::as_slice)
}

/// Two parameters may fill one set: groups by id and by name.
fn merge(out: &mut Map<String, Json>, key: String, json: Json) {
    let more = json["items"].as_array().cloned();
    match (out.get_mut(&key).and_then(|set| set["items"].as_array_mut()), more) {
        (Some(items), Some(more)) => items.extend(more),
        _ => drop(out.insert(key, json)),
    }
}

/// A launch keeps what makes an instance in the one item of its set.
fn launch(out: &mut Map<String, Json>) {
    let keys = ["imageId", "minCount", "maxCount", "keyName"];
    let item: Map<String, Json> = keys.iter().filter_map(|key| out.remove_entry(*key)).collect();
    out.insert("instancesSet".to_owned(), json!({ "items": [item] }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use shapes::ec2::{
        CreateTagsRequest, DescribeInstancesOp, DescribeInstancesRequest, Filter, InstanceState, InstanceStateChange,
        InstanceStateName, RunInstancesOp, RunInstancesRequest, Tag, TagSpecification, TerminateInstancesOp,
        TerminateInstancesRequest, TerminateInstancesResult,
    };
    use wire::{IntoValue, Operation};

    fn asked<O: Operation>(input: O::Input) -> Json {
        request(O::MODEL.name, O::MODEL.input, &input.into_value().unwrap())
    }

    #[test]
    fn ids_are_in_sets_with_items() {
        let input = TerminateInstancesRequest { instance_ids: vec!["i-1".into(), "i-2".into()], ..Default::default() };
        let expected = json!({ "instancesSet": { "items": [{ "instanceId": "i-1" }, { "instanceId": "i-2" }] } });
        assert_eq!(asked::<TerminateInstancesOp>(input), expected);
    }

    #[test]
    fn answers_are_in_sets_with_items() {
        let state = |code, name| Some(InstanceState { code: Some(code), name: Some(name) });
        let change = InstanceStateChange {
            instance_id: Some("i-1".into()),
            current_state: state(32, InstanceStateName::ShuttingDown),
            previous_state: state(16, InstanceStateName::Running),
        };
        let output = TerminateInstancesResult { terminating_instances: Some(vec![change]) };
        let json = response(TerminateInstancesOp::MODEL.output, &output.into_value().unwrap(), "r-1");
        let item = json!({
            "instanceId": "i-1",
            "currentState": { "code": 32, "name": "shutting-down" },
            "previousState": { "code": 16, "name": "running" },
        });
        assert_eq!(json, json!({ "requestId": "r-1", "instancesSet": { "items": [item] } }));
    }

    #[test]
    fn launches_filters_and_tags_keep_their_shape() {
        let tag = || Tag { key: Some("Type".into()), value: Some("Production".into()) };
        let input = RunInstancesRequest {
            image_id: Some("ami-1".into()),
            min_count: 1,
            max_count: 2,
            instance_type: Some("t3.micro".into()),
            tag_specifications: Some(vec![TagSpecification {
                resource_type: Some("instance".into()),
                tags: Some(vec![tag()]),
            }]),
            ..Default::default()
        };
        let json = asked::<RunInstancesOp>(input);
        assert_eq!(json["instancesSet"]["items"], json!([{ "imageId": "ami-1", "minCount": 1, "maxCount": 2 }]));
        assert_eq!(json["instanceType"], "t3.micro");
        let tags = &json["tagSpecificationSet"]["items"][0];
        assert_eq!(*tags, json!({ "resourceType": "instance", "tags": [{ "key": "Type", "value": "Production" }] }));
        let filter = Filter { name: Some("tag:Type".into()), values: Some(vec!["Production".into()]) };
        let json = asked::<DescribeInstancesOp>(DescribeInstancesRequest {
            filters: Some(vec![filter]),
            ..Default::default()
        });
        let item = json!({ "name": "tag:Type", "valueSet": { "items": [{ "value": "Production" }] } });
        assert_eq!(json["filterSet"]["items"][0], item);
        let input = CreateTagsRequest { resources: vec!["i-1".into()], tags: vec![tag()], dry_run: None };
        let json = asked::<shapes::ec2::CreateTagsOp>(input);
        assert_eq!(json["resourcesSet"]["items"][0]["resourceId"], "i-1");
        assert_eq!(json["tagSet"]["items"][0], json!({ "key": "Type", "value": "Production" }));
        let json = response(shapes::ec2::CreateTagsOp::MODEL.output, &Value::Struct(vec![]), "r-1");
        assert_eq!(json, json!({ "requestId": "r-1", "_return": true }));
    }
}
