//! Layers: publishing, listing, policies, and what a function sees of them.
#![allow(clippy::unwrap_used)]

mod scripted;

use base64::Engine;
use scripted::{House, zip};
use serde_json::{Value, json};
use std::io::{Cursor, Write};
use std::path::PathBuf;

const LAYER: &str = "arn:aws:lambda:us-east-1:000000000000:layer:tools";

fn package(files: &[(&str, &str)]) -> String {
    use zip::write::{SimpleFileOptions, ZipWriter};
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    base64::engine::general_purpose::STANDARD.encode(writer.finish().unwrap().into_inner())
}

async fn publish(house: &House, name: &str, files: &[(&str, &str)]) -> Value {
    let input = json!({
        "LayerName": name, "Content": {"ZipFile": package(files)}, "Description": "d", "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["python3.12"],
    });
    house.ask("PublishLayerVersion", input).await
}

/// What lies merged below the code directory.
fn merged(house: &House) -> Vec<PathBuf> {
    let all = std::fs::read_dir(house.dir.path().join("functions")).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("opt-")).collect()
}

#[tokio::test(start_paused = true)]
async fn versions_of_a_layer_are_numbered_listed_and_deleted() {
    let house = House::new().await;
    let one = publish(&house, "tools", &[("python/tool.py", "x = 1")]).await;
    assert_eq!((&one["Version"], &one["LayerVersionArn"]), (&json!(1), &json!(format!("{LAYER}:1"))));
    assert_eq!(one["LayerArn"], LAYER);
    let two = publish(&house, LAYER, &[("python/tool.py", "x = 2")]).await;
    assert_eq!(two["Version"], 2);
    let got = house.ask("GetLayerVersion", json!({"LayerName": "tools", "VersionNumber": 1})).await;
    assert_eq!(got["Content"]["CodeSha256"], one["Content"]["CodeSha256"]);
    assert_eq!((&got["LicenseInfo"], &got["CompatibleRuntimes"]), (&json!("MIT"), &json!(["python3.12"])));
    assert_eq!(house.ask("GetLayerVersionByArn", json!({"Arn": format!("{LAYER}:2")})).await["Version"], 2);
    let listed = house.ask("ListLayers", json!({})).await;
    assert_eq!(listed["Layers"][0]["LatestMatchingVersion"]["Version"], 2);
    assert_eq!(house.ask("ListLayers", json!({"CompatibleRuntime": "nodejs20.x"})).await["Layers"], json!([]));
    let page = house.ask("ListLayerVersions", json!({"LayerName": "tools", "MaxItems": 1})).await;
    assert_eq!(page["LayerVersions"][0]["Version"], 2);
    let rest = json!({"LayerName": "tools", "MaxItems": 1, "Marker": page["NextMarker"]});
    assert_eq!(house.ask("ListLayerVersions", rest).await["LayerVersions"][0]["Version"], 1);
    house.ask("DeleteLayerVersion", json!({"LayerName": "tools", "VersionNumber": 2})).await;
    let gone = json!({"LayerName": "tools", "VersionNumber": 2});
    assert_eq!(house.refused("GetLayerVersion", gone).await.0, "ResourceNotFoundException");
    assert_eq!(publish(&house, "tools", &[("a", "b")]).await["Version"], 3, "no number is given out twice");
}

#[tokio::test(start_paused = true)]
async fn a_function_sees_its_layers_as_one() {
    let house = House::new().await;
    publish(&house, "tools", &[("python/tool.py", "old"), ("bin/x", "tools")]).await;
    publish(&house, "more", &[("python/tool.py", "new")]).await;
    let more = LAYER.replace("tools", "more");
    let made = house.make_with("f", "1", json!({"Layers": [format!("{LAYER}:1"), format!("{more}:1")]})).await;
    assert_eq!(made["Layers"][1]["Arn"], format!("{more}:1"));
    assert!(made["Layers"][0]["CodeSize"].as_u64().unwrap() > 0);
    let place = merged(&house).remove(0);
    assert_eq!(std::fs::read_to_string(place.join("python/tool.py")).unwrap(), "new");
    assert_eq!(std::fs::read_to_string(place.join("bin/x")).unwrap(), "tools");
    // What a function uses stays, also where its version is deleted and the house is opened anew.
    house.ask("DeleteLayerVersion", json!({"LayerName": "tools", "VersionNumber": 1})).await;
    let house = house.restart().await;
    assert_eq!(house.invoke("f", json!(1)).await, 1);
    assert_eq!(merged(&house).len(), 1);
    let gone = json!({"FunctionName": "f", "Layers": [format!("{LAYER}:1")]});
    let (code, message) = house.refused("UpdateFunctionConfiguration", gone).await;
    assert_eq!((code, message), ("InvalidParameterValueException", format!("Layer version {LAYER}:1 does not exist.")));
    let bare = house.ask("UpdateFunctionConfiguration", json!({"FunctionName": "f", "Layers": []})).await;
    assert!(bare.get("Layers").is_none());
    house.ask("UpdateFunctionCode", json!({"FunctionName": "f", "ZipFile": zip("2")})).await;
    house.invoke("f", json!(1)).await;
    house.until(|| merged(&house).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn layers_have_limits() {
    let house = House::new().await;
    let mut arns = Vec::new();
    for n in 0..6 {
        publish(&house, &format!("l{n}"), &[("a", "b")]).await;
        arns.push(format!("arn:aws:lambda:us-east-1:000000000000:layer:l{n}:1"));
    }
    house.make_with("f", "1", json!({"Layers": arns[..5]})).await;
    let six = json!({"FunctionName": "f", "Layers": arns});
    assert_eq!(house.refused("UpdateFunctionConfiguration", six).await.0, "InvalidParameterValueException");
    publish(&house, "l0", &[("c", "d")]).await;
    let both = json!({"FunctionName": "f", "Layers": [arns[0], arns[0].replace(":1", ":2")]});
    let (_, message) = house.refused("UpdateFunctionConfiguration", both).await;
    assert!(message.starts_with("Two different versions of the same layer"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn layer_versions_have_policies() {
    let house = House::new().await;
    publish(&house, "tools", &[("a", "b")]).await;
    let version = |more: Value| {
        let mut input = json!({"LayerName": "tools", "VersionNumber": 1});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let add = version(json!({"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"}));
    let added = house.ask("AddLayerVersionPermission", add.clone()).await;
    assert_eq!(house.refused("AddLayerVersionPermission", add).await.0, "ResourceConflictException");
    let got = house.ask("GetLayerVersionPolicy", version(json!({}))).await;
    assert_eq!(got["RevisionId"], added["RevisionId"]);
    assert!(got["Policy"].as_str().unwrap().contains(&format!("{LAYER}:1")));
    house.ask("RemoveLayerVersionPermission", version(json!({"StatementId": "s"}))).await;
    assert_eq!(house.refused("GetLayerVersionPolicy", version(json!({}))).await.0, "ResourceNotFoundException");
}
