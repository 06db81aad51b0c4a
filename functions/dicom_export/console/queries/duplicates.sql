-- Objects that hold an instance which another object holds too. Needs the columns SourceObject and SourceGeneration.
SELECT SOPInstanceUID, SourceObject, BlobStorageSize, LastUpdated
FROM dicom
WHERE Type = 'CREATE' AND SOPInstanceUID IS NOT NULL
QUALIFY MIN(SourceObject) OVER (PARTITION BY SOPInstanceUID) <> MAX(SourceObject) OVER (PARTITION BY SOPInstanceUID)
  AND ROW_NUMBER() OVER (PARTITION BY SourceObject ORDER BY LastUpdated DESC) = 1
ORDER BY SOPInstanceUID, SourceObject
