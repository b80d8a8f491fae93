//! The files of the contract as a door shows them: services that it opens, with the methods that it opens, and what they import.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;
use prost_types::SourceCodeInfo;

use crate::services::access::{self, Method};

/// What is served beside the contract, and the contract.
const SETS: [&[u8]; 4] = [
    havenlink_proto::DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// A `FileDescriptorSet` whose files stay as they were compiled.
#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

/// A `FileDescriptorProto`. What is not looked at stays as it was compiled: prost's own type would lose the contract's options.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(string, repeated, tag = "3")]
    imports: Vec<String>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    messages: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    enums: Vec<Bytes>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<ServiceOfFile>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    extensions: Vec<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    options: Option<Bytes>,
    #[prost(message, optional, tag = "9")]
    comments: Option<SourceCodeInfo>,
    #[prost(string, optional, tag = "12")]
    syntax: Option<String>,
}

/// A `ServiceDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct ServiceOfFile {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<MethodOfService>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    options: Option<Bytes>,
}

/// A `MethodDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct MethodOfService {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    input: String,
    #[prost(string, tag = "3")]
    output: String,
    #[prost(bytes = "bytes", optional, tag = "4")]
    options: Option<Bytes>,
    #[prost(bool, optional, tag = "5")]
    client_streams: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    server_streams: Option<bool>,
}

/// Fields by which a comment finds its place: a service of the file, a method of the service.
const SERVICE: i32 = 6;
const METHOD: i32 = 2;

/// What a door shows.
pub struct Shown {
    /// Full names of the services.
    pub services: Vec<String>,
    /// A `FileDescriptorSet`.
    pub files: Vec<u8>,
}

impl Shown {
    /// By the methods that a door opens.
    pub fn of(opens: impl Fn(&Method) -> bool) -> Self {
        let all: BTreeMap<String, (Bytes, File)> =
            compiled().map(|(raw, file)| (file.name.clone(), (raw, file))).collect();
        let (mut services, mut needed, mut next) = (Vec::new(), BTreeSet::new(), Vec::new());
        for (name, (_, file)) in &all {
            let shown = only(file.clone(), &opens).services;
            next.extend((!shown.is_empty()).then(|| name.clone()));
            services.extend(shown.into_iter().map(|service| format!("{}.{}", file.package, service.name)));
        }
        while let Some(name) = next.pop() {
            let imports = all.get(&name).map(|(_, file)| file.imports.clone());
            next.extend(needed.insert(name).then_some(imports).flatten().unwrap_or_default());
        }
        let files = all.into_iter().filter(|(name, _)| needed.contains(name)).map(|(_, (raw, file))| {
            if file.services.is_empty() { raw } else { Bytes::from(only(file, &opens).encode_to_vec()) }
        });
        services.sort();
        Self { services, files: Set { files: files.collect() }.encode_to_vec() }
    }
}

/// Every file, as bytes and read.
fn compiled() -> impl Iterator<Item = (Bytes, File)> {
    let ours = "compiled into this program";
    let files = SETS.into_iter().flat_map(move |set| Set::decode(set).expect(ours).files);
    files.map(move |raw| (raw.clone(), File::decode(raw).expect(ours)))
}

/// The file with these methods only, and without services that have none of them. A comment goes with its place.
fn only(mut file: File, opens: &impl Fn(&Method) -> bool) -> File {
    // Where a service and its methods stood → where they stand.
    let mut places = BTreeMap::new();
    let mut services = Vec::new();
    for (was, mut service) in (0..).zip(file.services) {
        let path = |method: &MethodOfService| format!("/{}.{}/{}", file.package, service.name, method.name);
        let kept = |method: &MethodOfService| access::find(&path(method)).is_some_and(opens);
        let (old, methods): (Vec<i32>, Vec<_>) =
            (0..).zip(service.methods.clone()).filter(|(_, method)| kept(method)).unzip();
        if !methods.is_empty() {
            places.insert(was, (services.len() as i32, BTreeMap::from_iter(old.into_iter().zip(0..))));
            service.methods = methods;
            services.push(service);
        }
    }
    file.services = services;
    let moved = |path: &mut [i32]| -> Option<()> {
        if let [SERVICE, service, inside @ ..] = path {
            let (now, methods): &(i32, BTreeMap<i32, i32>) = places.get(service)?;
            *service = *now;
            if let [METHOD, method, ..] = inside {
                *method = *methods.get(method)?;
            }
        }
        Some(())
    };
    if let Some(comments) = &mut file.comments {
        comments.location.retain_mut(|location| moved(&mut location.path).is_some());
    }
    file
}

#[cfg(test)]
mod tests {
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::domain::audit::ActorRole;
    use crate::services::access::{Listener, opens_at, table};

    const SERVED: [ActorRole; 7] = [
        ActorRole::Operator,
        ActorRole::Coordinator,
        ActorRole::Publisher,
        ActorRole::Consumer,
        ActorRole::DataProtection,
        ActorRole::Inspection,
        ActorRole::Liaison,
    ];

    fn methods(set: &FileDescriptorSet) -> BTreeSet<String> {
        let services = set.file.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
        let paths = services.flat_map(|(file, service)| {
            service.method.iter().map(move |m| format!("/{}.{}/{}", file.package(), service.name(), m.name()))
        });
        paths.collect()
    }

    #[test]
    fn a_door_shows_the_methods_that_it_opens_and_all_that_they_need() {
        for role in SERVED {
            let opens = |row: &Method| opens_at(row, Listener::Local(role));
            let shown = Shown::of(opens);
            let set = FileDescriptorSet::decode(shown.files.as_slice()).unwrap();
            let opened: Vec<&Method> = table().filter(|row| opens(row)).collect();
            assert_eq!(methods(&set), opened.iter().map(|row| row.path.to_owned()).collect(), "{role}");
            let services: BTreeSet<_> = opened.iter().map(|row| row.path[1..].split('/').next().unwrap()).collect();
            assert_eq!(shown.services, services.into_iter().collect::<Vec<_>>(), "{role}");
            let names: BTreeSet<&str> = set.file.iter().map(|file| file.name()).collect();
            let imports = set.file.iter().flat_map(|file| &file.dependency);
            assert!(imports.into_iter().all(|import| names.contains(import.as_str())), "{role}");
            for closed in ["havenlink/store/", "havenlink/raft/", "havenlink/peer/"] {
                assert!(names.iter().all(|name| !name.starts_with(closed)), "{role} is shown {closed}");
            }
        }
    }

    #[test]
    fn a_file_of_which_all_is_open_is_as_it_was_compiled() {
        let mut seen = 0;
        for (raw, file) in compiled().filter(|(_, file)| !file.services.is_empty()) {
            assert_eq!(file.encode_to_vec().len(), raw.len(), "{}: a field is lost", file.name);
            assert_eq!(only(file.clone(), &|_| true), file);
            seen += 1;
        }
        assert!(seen > 10, "{seen} files with services");
    }

    /// Each method's place in the file, and what is said of it there.
    fn said(file: &File) -> BTreeMap<String, (usize, String)> {
        let locations = &file.comments.as_ref().unwrap().location;
        let services = file.services.iter().enumerate();
        let methods = services.flat_map(|(s, service)| {
            service.methods.iter().enumerate().map(move |(m, method)| {
                let place = [SERVICE, s as i32, METHOD, m as i32];
                let of_it: Vec<_> = locations.iter().filter(|location| location.path == place).collect();
                assert_eq!(of_it.len(), 1, "{}", method.name);
                (format!("{}/{}", service.name, method.name), (m, of_it[0].leading_comments().to_owned()))
            })
        });
        methods.collect()
    }

    /// What is said of a method is said of the same one when those before it are gone.
    #[test]
    fn a_comment_stays_with_its_method() {
        let mut moved = 0;
        let ours = || {
            compiled().map(|(_, file)| file).filter(|f| f.package.starts_with("havenlink.") && !f.services.is_empty())
        };
        for (role, whole) in SERVED.into_iter().flat_map(|role| ours().map(move |file| (role, file))) {
            let before = said(&whole);
            let part = only(whole, &|row: &Method| opens_at(row, Listener::Local(role)));
            for (name, (place, comment)) in said(&part) {
                let (was, said) = &before[&name];
                assert_eq!(comment, *said, "{name} for {role}");
                moved += usize::from(place != *was && !comment.is_empty());
            }
        }
        assert!(moved > 0, "some stand elsewhere, and are explained");
    }
}
